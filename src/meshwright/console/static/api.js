/**
 * Talks to the console's API: logs in with the token that the page was opened with, follows events, reconnects.
 *
 * A session is proved by a header and kept where only this origin reads it. A cookie would go to every port of this
 * machine, and so to whatever the mesh's own gateway serves.
 */

const TOKEN = "meshwright-token"; // of this tab
const SESSION = "meshwright-session"; // of all tabs
const SHORTEST = 400;
const LONGEST = 8000;
const SILENCE = 5500; // something comes every 2 s; after so long without anything the other end is stopped or gone
const PATIENCE = 30000; // an undo waits for its receipt
const HIDDEN = 10000; // a tab that nobody sees for so long gives its connection back: browsers have six for a host

/** The API refused; `status`, `code` and `said` as in the problem. */
export class Refused extends Error {
  constructor(status, code, detail, said = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.said = said;
  }
}

/** Take the token out of the address, where it would stay in the history. Says whether there was one. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return false;
  useToken(given);
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

/** Keep a token that was typed, alone or in the address that `meshwright dashboard` prints. */
export function useToken(typed) {
  const inside = new URLSearchParams(typed.split("#")[1] ?? "").get("token");
  sessionStorage.setItem(TOKEN, inside ?? typed);
  localStorage.removeItem(SESSION);
}

/** Exchange the token for a session. Throws Refused when there is none or it is wrong. */
async function logIn(signal) {
  const token = sessionStorage.getItem(TOKEN);
  if (!token) throw new Refused(401, localStorage.getItem(SESSION) ? "gone" : "no-token", "");
  const { session } = await answered(await ask("POST", "/api/v1/session", { token }, signal));
  localStorage.setItem(SESSION, session);
}

/** One request in this session; logs in again when the session is gone (the worker was restarted). */
async function inside(method, path, body, signal) {
  if (!localStorage.getItem(SESSION)) await logIn(signal);
  const response = await ask(method, path, body, signal);
  if (response.status !== 401) return response;
  await logIn(signal);
  return ask(method, path, body, signal);
}

/** One call; its value. Throws Refused, or what `fetch` throws: also when nothing comes for too long. */
export async function call(method, path, body) {
  return answered(await inside(method, path, body, AbortSignal.timeout(PATIENCE)));
}

/**
 * Follow the events for ever. `on.event(name, value)`; `on.state("live" | "lost")`; ends with `on.locked(error)` when
 * nobody may come in with this token.
 */
export async function follow(on) {
  let wait = SHORTEST;
  for (;;) {
    try {
      await readEvents((name, value) => {
        wait = SHORTEST;
        on.event(name, value);
      }, on);
    } catch (error) {
      if (error instanceof Refused && [401, 403, 429].includes(error.status)) {
        on.locked(error);
        return;
      }
    }
    if (document.hidden) {
      await visible();
      continue;
    }
    on.state("lost");
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(LONGEST, wait * 1.7);
  }
}

function visible() {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });
}

async function readEvents(take, on) {
  const stop = new AbortController();
  let guard = setTimeout(() => stop.abort(), SILENCE);
  let hidden = 0;
  const rest = () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(() => stop.abort(), HIDDEN);
  };
  document.addEventListener("visibilitychange", rest);
  rest();
  try {
    const response = await inside("GET", "/api/v1/events", undefined, stop.signal);
    if (!response.ok) await answered(response);
    on.state("live");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(guard);
      guard = setTimeout(() => stop.abort(), SILENCE);
      const parts = (text + value).split("\n\n");
      text = parts.pop() ?? "";
      for (const part of parts) takeOne(part, take);
    }
  } finally {
    document.removeEventListener("visibilitychange", rest);
    clearTimeout(hidden);
    clearTimeout(guard);
    stop.abort();
  }
}

function takeOne(part, take) {
  const fields = Object.fromEntries(part.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
  if (fields.event) take(fields.event, JSON.parse(fields.data ?? "null"));
}

function ask(method, path, body, signal) {
  const headers = { authorization: `Bearer ${localStorage.getItem(SESSION) ?? ""}` };
  if (body === undefined) return fetch(path, { method, headers, signal });
  return fetch(path, { method, signal, body: JSON.stringify(body), headers: { ...headers, "content-type": "application/json" } });
}

async function answered(response) {
  if (response.status === 204) return null;
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, value.code ?? "no-answer", value.detail ?? response.statusText, value.said);
  return value;
}

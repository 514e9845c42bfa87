/** Talks to the console's API: logs in with the token that the page was opened with, follows events, reconnects. */

const TOKEN = "meshwright-token";
const SHORTEST = 400;
const LONGEST = 8000;
const SILENCE = 25000; // pings come every 10 s

/** The API refused; `status` and `code` as in the problem. */
export class Refused extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

/** Take the token out of the address, where it would stay in the history. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(TOKEN, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
}

/** Keep a token that was typed. */
export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** Exchange the token for a session. Throws Refused when there is none or it is wrong. */
export async function logIn() {
  const token = sessionStorage.getItem(TOKEN);
  if (!token) throw new Refused(401, "no-token", "");
  await answered(await fetch("/api/v1/session", asJson("POST", { token })));
}

/** One call; logs in again when the session is gone (the worker was restarted). */
export async function call(method, path, body) {
  const response = await fetch(path, asJson(method, body));
  if (response.status !== 401) return answered(response);
  await logIn();
  return answered(await fetch(path, asJson(method, body)));
}

/**
 * Follow the events for ever. `on.event(name, value)`; `on.state("live" | "lost", milliseconds until the next try)`;
 * ends with `on.locked(error)` when nobody may come in with this token.
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
    on.state("lost", wait);
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(LONGEST, wait * 1.7);
  }
}

async function readEvents(take, on) {
  const stop = new AbortController();
  let guard = setTimeout(() => stop.abort(), SILENCE);
  try {
    let response = await fetch("/api/v1/events", { signal: stop.signal });
    if (response.status === 401) {
      await logIn();
      response = await fetch("/api/v1/events", { signal: stop.signal });
    }
    if (!response.ok) await answered(response);
    on.state("live", 0);
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
    clearTimeout(guard);
    stop.abort();
  }
}

function takeOne(part, take) {
  const fields = Object.fromEntries(part.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]));
  if (fields.event) take(fields.event, JSON.parse(fields.data ?? "null"));
}

function asJson(method, body) {
  if (body === undefined) return { method };
  return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

async function answered(response) {
  if (response.status === 204) return null;
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, value.code ?? "", value.detail ?? response.statusText);
  return value;
}

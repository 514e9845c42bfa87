/** The page: wires the live values to what shows them. */
import { call, follow, logIn, takeToken, useToken } from "./api.js";
import { Changes } from "./changes.js";
import { at, el, say, set } from "./dom.js";
import { Graph } from "./graph.js";
import { choose, chosen, clock, rate, t, writeFixed } from "./i18n.js";
import { Seen } from "./model.js";
import { Panel } from "./panel.js";
import { Table } from "./table.js";
import { drawVisitors, showVisitors } from "./visitors.js";

const THEME = "meshwright-theme";
const TOLD_FOR = 12000;

const seen = new Seen();
const graph = new Graph(at("graph"), openEdge);
const table = new Table(at("table"), openEdge);
const panel = new Panel(at("panel"), closedPanel);
const changes = new Changes(at("changes"), tell);
const state = { live: "connecting", told: 0, paused: false, table: false, away: false, drawn: false, ingress: "" };
let opener = null;

function draw() {
  const edges = [...seen.edges.values()].filter((edge) => edge.live);
  at("work").classList.toggle("with-panel", !at("panel").hidden);
  at("graph").hidden = state.table || !seen.edges.size;
  at("table").hidden = !state.table || !seen.edges.size;
  at("empty").hidden = seen.edges.size > 0 || !state.drawn;
  at("tidy").hidden = state.table || !seen.edges.size;
  say(at("summary"), edges.length ? summary(edges) : "");
  if (!state.table) graph.draw(seen, panel.edge);
  else table.draw(seen, panel.edge);
  panel.update(seen);
}

function summary(edges) {
  const boxes = new Set(edges.flatMap((edge) => [seen.boxOf(edge.source), seen.boxOf(edge.destination)]));
  const sum = edges.reduce((total, edge) => total + edge.rps, 0);
  return t("traffic.sum", { services: boxes.size, edges: edges.length, rate: rate(sum), seconds: seen.window });
}

function drawState() {
  const shown = state.live === "live" && state.paused ? "paused" : state.live;
  set(at("live"), { "data-state": shown });
  say(at("live"), t(shown));
  set(at("live"), { title: state.told ? clock(state.told) : null });
  set(at("pause"), { "aria-pressed": String(state.paused) });
  say(at("pause"), t(state.paused ? "resume" : "pause"));
  say(at("notice"), state.away ? t("away") : "");
}

function drawEmpty() {
  at("empty").replaceChildren(
    el("h3", {}, t("empty")),
    el("p", {}, t("empty.how")),
    el("pre", { tabindex: "0" }, el("code", {}, `curl ${state.ingress}/productpage`)),
    el("p", {}, t("empty.visitors")),
    el("pre", { tabindex: "0" }, el("code", {}, "meshwright visitors on")),
  );
}

function drawAll() {
  writeFixed();
  drawEmpty();
  drawState();
  drawVisitors();
  if (!at("panel").hidden) panel.build(seen);
  changes.rebuild();
  draw();
}

// ---------------------------------------------------------------- what happens

function openEdge(id) {
  opener = document.activeElement;
  panel.show(id, seen);
  draw();
  graph.bring(id);
}

function closedPanel() {
  draw();
  if (opener?.isConnected) opener.focus();
}

function tell(text, kind) {
  const words = el("p", { class: kind }, text);
  at("said").replaceChildren(words);
  setTimeout(() => words.remove(), TOLD_FOR);
}

function took(name, value) {
  state.told = Date.now();
  if (name === "graph" && !state.paused) {
    seen.take(value, Date.now());
    state.drawn = true;
    draw();
  }
  if (name === "changes") {
    state.away = value.control_plane === "away";
    if (!state.away && !state.paused) changes.take(value.changes);
    if (!state.away) showVisitors();
  }
  drawState();
}

function stand(live) {
  state.live = live;
  drawState();
}

function locked(error) {
  at("work").hidden = true;
  at("login").hidden = false;
  say(at("login-error"), error.code === "no-token" ? "" : t(error.status === 429 ? "login.later" : "login.wrong"));
  at("token").focus();
  stand("locked");
}

async function start() {
  try {
    await logIn();
    const me = await call("GET", "/api/v1/me");
    say(at("mesh-name"), me.mesh);
    state.ingress = me.ingress;
    drawEmpty();
    document.title = `${me.mesh} · meshwright`;
  } catch (error) {
    if ([401, 403, 429].includes(error.status)) {
      locked(error);
      return;
    }
  }
  at("login").hidden = true;
  at("work").hidden = false;
  follow({ event: took, state: stand, locked });
}

// ---------------------------------------------------------------- switches

function useTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function view(asTable) {
  state.table = asTable;
  set(at("show-graph"), { "aria-pressed": String(!asTable) });
  set(at("show-table"), { "aria-pressed": String(asTable) });
  draw();
}

at("language").value = chosen();
at("language").addEventListener("change", (event) => {
  choose(event.target.value);
  drawAll();
});
at("theme").value = localStorage.getItem(THEME) ?? "auto";
useTheme(at("theme").value);
at("theme").addEventListener("change", (event) => {
  localStorage.setItem(THEME, event.target.value);
  useTheme(event.target.value);
});
at("pause").addEventListener("click", () => {
  state.paused = !state.paused;
  if (!state.paused) call("GET", "/api/v1/changes").then((answer) => changes.take(answer.changes), () => {});
  drawState();
});
at("show-graph").addEventListener("click", () => view(false));
at("show-table").addEventListener("click", () => view(true));
at("tidy").addEventListener("click", () => {
  graph.tidy();
  draw();
});
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(at("token").value.trim());
  at("token").value = "";
  start();
});

takeToken();
window.addEventListener("hashchange", () => {
  takeToken();
  if (!at("login").hidden) start();
});
drawAll();
start();

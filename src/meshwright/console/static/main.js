/** The page: wires the live values to what shows them. */
import { call, follow, takeToken, useToken } from "./api.js";
import { Changes } from "./changes.js";
import { at, el, say, set } from "./dom.js";
import { drawEmpty } from "./empty.js";
import { Graph } from "./graph.js";
import { choose, chosen, clock, rate, reasonOf, t, writeFixed } from "./i18n.js";
import { drawLegend } from "./legend.js";
import { Seen } from "./model.js";
import { Panel } from "./panel.js";
import { Service } from "./service.js";
import { Table } from "./table.js";
import { drawVisitors, onFailure, showVisitors, visitorsCome } from "./visitors.js";

const THEME = "meshwright-theme";
const TOLD_FOR = 12000;

const seen = new Seen();
const graph = new Graph(at("graph"), { edge: openEdge, box: openBox });
const table = new Table(at("table"), openEdge);
const panel = new Panel(at("panel"), closedPanel);
const service = new Service(at("service"), { edge: openEdge, closed: closedPanel });
const changes = new Changes(at("changes"), tell);
const state = { live: "connecting", told: 0, paused: false, table: false, away: false, drawn: false, me: null };
let opener = null;

function draw() {
  const edges = [...seen.edges.values()].filter((edge) => edge.live);
  const some = seen.edges.size > 0;
  at("work").classList.toggle("with-panel", !at("panel").hidden || !at("service").hidden);
  at("graph").hidden = state.table || !some;
  at("legend").hidden = state.table || !some;
  at("table").hidden = !state.table || !some;
  at("empty").hidden = some || !state.drawn;
  at("views").hidden = !some;
  at("tidy").hidden = state.table || !some;
  say(at("summary"), edges.length ? summary(edges) : "");
  if (!some) drawEmpty(at("empty"), { ingress: state.me?.ingress, visitors: visitorsCome(), seconds: seen.window });
  if (!state.table) graph.draw(seen, { edge: panel.edge, box: service.box });
  else table.draw(seen, panel.edge);
  drawLegend(at("legend"), at("graph").querySelector(".crowd") !== null);
  panel.update(seen);
  service.update(seen);
}

function summary(edges) {
  const boxes = new Set(edges.flatMap((edge) => [seen.boxOf(edge.source), seen.boxOf(edge.destination)]));
  const sum = edges.reduce((total, edge) => total + edge.rps, 0);
  return t("traffic.sum", { services: boxes.size, edges: edges.length, rate: rate(sum), seconds: seen.window });
}

function drawState() {
  const shown = state.live === "live" && state.paused ? "paused" : state.live;
  const lost = state.live === "lost";
  set(at("live"), { "data-state": shown, title: state.told ? clock(state.told) : null });
  say(at("live"), t(shown));
  set(at("pause"), { "aria-pressed": String(state.paused) });
  say(at("pause"), t(state.paused ? "resume" : "pause"));
  at("pause").hidden = state.live === "locked";
  if (lost) say(at("notice"), state.told ? t("lost.what", { time: clock(state.told) }) : "");
  else say(at("notice"), state.away ? t("away") : "");
  at("work").classList.toggle("stale", lost);
  graph.motion.held = lost || state.paused;
}

function drawAll() {
  writeFixed();
  drawState();
  drawVisitors();
  if (!at("panel").hidden) panel.build(seen);
  if (!at("service").hidden) service.build(seen);
  changes.rebuild();
  draw();
}

// ---------------------------------------------------------------- what happens

function open(one, other, show) {
  const within = [at("panel"), at("service")].some((each) => each.contains(document.activeElement));
  if (!within) opener = document.activeElement; // from one panel to the next: back to where the first was opened
  if (other === panel) panel.edge = "";
  else service.box = "";
  other.holder.hidden = true;
  show();
  draw();
}

function openEdge(id) {
  open(panel, service, () => panel.show(id, seen));
  graph.bring(id);
}

function openBox(key) {
  open(service, panel, () => service.show(key, seen));
}

function closedPanel() {
  draw();
  if (opener?.isConnected) opener.focus();
}

/** Good news goes by itself, bad news stays until it was read. */
function tell(text, kind) {
  const words = el("p", { class: kind }, text, " ");
  words.append(el("button", { type: "button", class: "quiet small", "aria-label": t("close"), click: () => words.remove() }, "✕"));
  at("said").replaceChildren(words);
  if (kind === "good") setTimeout(() => words.remove(), TOLD_FOR);
}

async function took(name, value) {
  state.told = Date.now();
  if (name === "graph" && !state.paused) {
    seen.take(value, Date.now());
    state.drawn = true;
    draw();
  }
  if (name === "changes") {
    state.away = value.control_plane === "away";
    if (!state.paused) changes.take(state.away ? null : value.changes);
    graph.motion.wake();
    if (!state.away) {
      await showVisitors();
      if (!seen.edges.size) draw();
    }
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
  const words = { "no-token": "", gone: t("login.gone") }[error.code];
  say(at("login-error"), words ?? t(error.status === 429 ? "login.later" : "login.wrong"));
  at("token").focus();
  stand("locked");
}

async function start() {
  try {
    state.me = await call("GET", "/api/v1/me");
    say(at("mesh-name"), state.me.mesh);
    document.title = `${state.me.mesh} · meshwright`;
  } catch (error) {
    if ([401, 403, 429].includes(error.status)) {
      locked(error);
      return;
    }
  }
  at("login").hidden = true;
  at("work").hidden = false;
  draw();
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
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || at("undo").open) return;
  for (const each of [panel, service]) if (!each.holder.hidden) each.close();
});

onFailure((error) => tell(t("failed", { reason: reasonOf(error) }), "bad"));
takeToken();
window.addEventListener("hashchange", () => {
  if (takeToken() && !at("login").hidden) start();
});
drawAll();
start();

/** What is known of one edge: answers, latency, encryption, its last requests, and why each went where it went. */
import { call } from "./api.js";
import { el, keyed, say, set } from "./dom.js";
import { explanation } from "./explanation.js";
import { tlsWords } from "./edges.js";
import { clock, flagWords, fullTime, ms, percent, rate, reasonOf, t } from "./i18n.js";

const MOST = 50;

/** The side panel; `closed()` is told when it is closed by its own button. */
export class Panel {
  constructor(holder, closed) {
    this.holder = holder;
    this.closed = closed;
    this.edge = "";
    this.busy = false;
    this.open = new Map(); // request -> explanation that is shown
    holder.addEventListener("pointerleave", () => this.letGo());
    holder.addEventListener("focusout", () => this.letGo());
  }

  /** Show an edge and move the focus there. */
  show(edge, seen) {
    this.edge = edge;
    this.build(seen);
    this.title.focus();
  }

  close() {
    this.edge = "";
    this.holder.hidden = true;
    this.closed();
  }

  /** All of it anew, in the language of now. */
  build(seen) {
    this.open.clear();
    this.waiting = null;
    this.title = el("h2", { id: "panel-title", tabindex: "-1" });
    this.service = el("p", { class: "muted" });
    this.window = el("p", { id: "panel-count" });
    this.facts = el("dl", { class: "facts" });
    this.codes = el("tbody", { id: "codes" });
    this.rows = el("tbody", { id: "requests" });
    this.list = el("table", { class: "requests", "aria-label": t("panel.requests") }, requestsHead(), this.rows);
    this.list.hidden = true; // until the first answer
    this.none = el("p", { class: "muted" }, t("panel.none"));
    this.none.hidden = true;
    this.held = el("small", { class: "muted" });
    const close = el("button", { type: "button", class: "quiet close", "aria-label": t("close"), click: () => this.close() }, "✕");
    const codesHead = headed("column.code", "column.count", "column.meaning");
    this.holder.replaceChildren(
      el("div", { class: "card-head" }, this.title, close),
      this.service,
      this.window,
      this.facts,
      el("h3", {}, t("panel.codes")),
      el("table", { "aria-label": t("panel.codes") }, codesHead, this.codes),
      el("h3", {}, t("panel.requests"), " ", this.held),
      this.none,
      el("div", { class: "scroll" }, this.list),
    );
    this.holder.hidden = false;
    this.update(seen);
  }

  /** The newest values. */
  update(seen) {
    const edge = seen.edges.get(this.edge);
    if (this.holder.hidden || !edge) return;
    this.seen = seen;
    say(this.title, `${seen.nameOf(edge.source, t("unknown"))} → ${seen.nameOf(edge.destination, t("unknown"))}`);
    say(this.service, t("panel.service", edge));
    const words = edge.protocol === "tcp" ? "panel.window.tcp" : "panel.window";
    say(this.window, edge.live ? t(words, { count: edge.count, seconds: seen.window }) : t("panel.idle"));
    this.fillFacts(edge);
    keyed(this.codes, edge.live ? edge.codes : [], (each) => `${each.code} ${each.flags}`, () => el("tr", {}, el("th", { scope: "row" }), el("td", { class: "number" }), el("td")), fillCode);
    this.refresh(edge);
  }

  fillFacts(edge) {
    const facts = [
      [t("column.rate"), edge.live ? t("per.second", { rate: rate(edge.rps) }) : t("idle")],
      [t("column.errors"), percent(edge.live ? edge.error_share : 0)],
      ...(edge.p95_ms === null ? [] : [["p50", ms(edge.p50_ms)], ["p95", ms(edge.p95_ms)], ["p99", ms(edge.p99_ms)]]),
      [t("column.tls"), tlsWords(edge)],
    ];
    keyed(this.facts, facts, (fact) => fact[0], () => el("div", {}, el("dt"), el("dd")), (element, [name, value]) => {
      say(element.firstChild, name);
      say(element.lastChild, value);
    });
  }

  async refresh(edge) {
    if (this.busy) return;
    this.busy = true;
    let answer = null;
    try {
      answer = await call("GET", `/api/v1/requests?limit=${MOST}&edge=${encodeURIComponent(edge.id)}`);
    } catch {
      // the live indicator says that the connection is lost; what is shown stays
    }
    this.busy = false;
    if (answer && this.edge === edge.id) this.fillRequests(edge, answer.requests);
    else if (this.edge && this.edge !== edge.id) this.update(this.seen); // another edge was opened meanwhile
  }

  /** Rows do not move under a pointer, a focus or somebody who reads an explanation. */
  isRead() {
    return this.open.size > 0 || this.rows.matches(":hover, :focus-within");
  }

  letGo() {
    setTimeout(() => {
      if (this.waiting && this.edge && !this.isRead()) this.fillRequests(...this.waiting);
    });
  }

  fillRequests(edge, fresh) {
    const shown = this.rows.keyedChildren;
    const news = shown?.size ? fresh.filter((request) => !shown.has(keyOf(request))).length : 0;
    if (news && this.isRead()) {
      this.waiting = [edge, fresh];
      say(this.held, t(news >= MOST ? "panel.held.many" : "panel.held", { count: news }));
      return;
    }
    this.waiting = null;
    say(this.held, "");
    const kept = [...this.open.values()].map((each) => each.request);
    const asked = new Set(fresh.map(keyOf));
    const requests = [...fresh, ...kept.filter((request) => !asked.has(keyOf(request)))];
    this.none.hidden = requests.length > 0;
    this.list.hidden = !requests.length;
    keyed(this.rows, requests, keyOf, (request) => this.row(edge, request), () => {});
  }

  row(edge, request) {
    const bad = !/^\d+$/.test(request.code ?? "") || Number(request.code) >= 500 || request.code === "0";
    const words = flagWords(request.flags);
    const code = el("td", { class: bad && edge.protocol !== "tcp" ? "code bad" : "code" }, codeWords(request.code), words ? el("small", {}, ` ${request.flags}`) : null);
    if (words) set(code, { title: words });
    const ask = el("button", { type: "button", class: "small", "aria-expanded": "false" }, t("why"));
    set(ask, { "aria-label": t("why.of", { method: request.method ?? "", path: request.path ?? "", code: codeWords(request.code) }) });
    ask.addEventListener("click", () => this.toggle(edge, request, row, ask));
    const asked = request.method ? `${request.method} ${request.path}` : edge.protocol;
    const what = el("td", { class: "path", title: [asked, request.authority].filter(Boolean).join(" · ") }, asked);
    const when = Number(request.time) * 1000;
    const row = el(
      "tr",
      {},
      el("td", { class: "time", title: fullTime(when) }, clock(when)),
      what,
      code,
      el("td", { class: "number" }, request.ms === 0 ? "<1 ms" : ms(request.ms)), // Envoy counts whole ones
      el("td", {}, request.method ? ask : null),
    );
    return row;
  }

  async toggle(edge, request, row, button) {
    const key = keyOf(request);
    const shown = this.open.get(key);
    if (shown) {
      shown.element.closest("tr").remove();
      this.open.delete(key);
      set(button, { "aria-expanded": "false" });
      this.letGo();
      return;
    }
    const element = el("div", { class: "why", role: "region", "aria-label": t("why.title") }, t("why.busy"));
    row.after(el("tr", { class: "answer" }, el("td", { colspan: "5" }, element)));
    this.open.set(key, { request, element });
    set(button, { "aria-expanded": "true" });
    try {
      element.replaceChildren(explanation(await call("POST", "/api/v1/explain", { record: request })));
    } catch (error) {
      element.replaceChildren(el("p", { class: "bad" }, t("failed", { reason: reasonOf(error) })));
    }
  }
}

function keyOf(request) {
  return `${request.id} ${request.time} ${request.upstream}`;
}

function codeWords(code) {
  if (!code) return t("code.tcp");
  return code === "0" ? t("code.none") : code;
}

function fillCode(row, each) {
  say(row.cells[0], each.code === "tcp" ? t("code.tcp") : `${codeWords(each.code)}${each.flags && each.flags !== "-" ? ` ${each.flags}` : ""}`);
  say(row.cells[1], each.count.toLocaleString());
  say(row.cells[2], flagWords(each.flags) || t("flags.none"));
}

function headed(...keys) {
  return el("thead", {}, el("tr", {}, ...keys.map((key) => el("th", { scope: "col", class: key === "column.count" ? "number" : null }, t(key)))));
}

function requestsHead() {
  const cells = ["column.time", "column.request", "column.code", "column.took", "column.why"];
  return el("thead", {}, el("tr", {}, ...cells.map((key) => el("th", { scope: "col", class: key === "column.took" ? "number" : null }, t(key)))));
}

/** What is known of one service: its versions, who calls it, and whom it calls. */
import { el, keyed, say } from "./dom.js";
import { edgeWords, healthOf, tlsWords } from "./edges.js";
import { wordsOf } from "./graph.js";
import { ms, percent, rate, t } from "./i18n.js";
import { compare } from "./model.js";

/** The side panel of a box; `on.edge(id)` opens a connection, `on.closed()` is told when its own button closes it. */
export class Service {
  constructor(holder, on) {
    this.holder = holder;
    this.on = on;
    this.box = "";
  }

  /** Show a box and move the focus there. */
  show(key, seen) {
    this.box = key;
    this.build(seen);
    this.title.focus();
  }

  close() {
    this.box = "";
    this.holder.hidden = true;
    this.on.closed();
  }

  /** All of it anew, in the language of now. */
  build(seen) {
    this.title = el("h2", { id: "service-title", tabindex: "-1" });
    this.under = el("p", { class: "muted" });
    this.facts = el("dl", { class: "facts" });
    this.versions = part("versions", ["column.version", "column.rate", "column.errors", "p95", "column.share"]);
    this.callers = part("callers", ["column.from", "column.rate", "column.errors", "p95", "column.tls"]);
    this.called = part("called", ["column.to", "column.rate", "column.errors", "p95", "column.tls"]);
    const close = el("button", { type: "button", class: "quiet close", "aria-label": t("close"), click: () => this.close() }, "✕");
    const parts = [this.versions, this.callers, this.called].map((each) => each.root);
    this.holder.replaceChildren(el("div", { class: "card-head" }, this.title, close), this.under, this.facts, ...parts);
    this.holder.hidden = false;
    this.update(seen);
  }

  /** The newest values. */
  update(seen) {
    const { boxes, edges } = seen.picture();
    const box = boxes.find((each) => each.key === this.box);
    if (this.holder.hidden || !box) return;
    const { title, under } = wordsOf(box);
    const incoming = edges.filter((edge) => edge.to === box.key);
    const hosts = [...new Set(incoming.map((edge) => edge.service))].sort(compare);
    say(this.title, title);
    say(this.under, [under, ...hosts].filter(Boolean).join(" · "));
    this.fillFacts(incoming.filter((edge) => edge.live));
    const rows = versionsOf(box, incoming);
    fill(this.versions, rows.length > 1 || rows[0]?.version ? rows : [], (row) => row.id, versionCells);
    fill(this.callers, incoming, (edge) => edge.id, (edge) => this.cells(edge, callerOf(edge, box, seen), seen));
    fill(this.called, edges.filter((edge) => edge.from === box.key), (edge) => edge.id, (edge) => this.cells(edge, calledOf(edge, box, seen), seen));
  }

  fillFacts(incoming) {
    const sum = sumOf(incoming);
    const facts = [
      [t("column.rate"), sum.count ? t("per.second", { rate: rate(sum.rps) }) : t("idle")],
      [t("column.errors"), percent(sum.errors)],
      ["p95", ms(sum.p95)],
    ];
    keyed(this.facts, facts, (fact) => fact[0], () => el("div", {}, el("dt"), el("dd")), (element, [name, value]) => {
      say(element.firstChild, name);
      say(element.lastChild, value);
    });
  }

  cells(edge, name, seen) {
    const press = { words: name, press: () => this.on.edge(edge.id), label: `${t("details")}: ${edgeWords(edge, seen)}` };
    if (!edge.live) return { health: "idle", cells: [press, t("idle"), "", "", tlsWords(edge)] };
    return { health: healthOf(edge), cells: [press, t("per.second", { rate: rate(edge.rps) }), percent(edge.error_share), ms(edge.p95_ms), tlsWords(edge)] };
  }
}

/** Who calls, and which of several versions. */
function callerOf(edge, box, seen) {
  const name = seen.nameOf(edge.source, t("unknown"));
  return box.rows.length > 1 ? `${name} → ${versionOf(box, edge.destination)}` : name;
}

/** Who is called, and by which of several versions. */
function calledOf(edge, box, seen) {
  const name = seen.nameOf(edge.destination, t("unknown"));
  return box.rows.length > 1 ? `${versionOf(box, edge.source)} → ${name}` : name;
}

function versionOf(box, id) {
  return box.rows.find((row) => row.id === id)?.version ?? "–";
}

/** Several edges as one; its p95 is that of the slowest. */
function sumOf(edges) {
  const count = edges.reduce((sum, edge) => sum + edge.count, 0);
  const failed = edges.reduce((sum, edge) => sum + edge.count * edge.error_share, 0);
  const slow = edges.map((edge) => edge.p95_ms).filter((value) => value !== null);
  return { count, rps: edges.reduce((sum, edge) => sum + edge.rps, 0), errors: count ? failed / count : 0, p95: slow.length ? Math.max(...slow) : null };
}

function versionsOf(box, incoming) {
  const total = sumOf(incoming.filter((edge) => edge.live)).count;
  return box.rows.map((row) => {
    const sum = sumOf(incoming.filter((edge) => edge.live && edge.destination === row.id));
    return { ...row, ...sum, share: total ? sum.count / total : 0 };
  });
}

function versionCells(row) {
  if (!row.count) return { health: "idle", cells: [row.version || row.name, t("idle"), "", "", percent(0)] };
  const health = row.errors >= 0.1 ? "bad" : row.errors > 0 ? "some" : "good";
  return { health, cells: [row.version || row.name, t("per.second", { rate: rate(row.rps) }), percent(row.errors), ms(row.p95), percent(row.share)] };
}

/** A heading with a table that hides while it has no rows. */
function part(name, columns) {
  const words = t(`service.${name}`);
  const heads = columns.map((key, index) => el("th", { scope: "col", class: index && key !== "column.tls" ? "number" : null }, key === "p95" ? key : t(key)));
  const body = el("tbody", { id: `service-${name}` });
  const root = el("div", {}, el("h3", {}, words), el("div", { class: "scroll" }, el("table", { class: "numbers", "aria-label": words }, el("thead", {}, el("tr", {}, ...heads)), body)));
  return { root, body, columns };
}

function fill({ root, body, columns }, items, keyOf, cellsOf) {
  root.hidden = !items.length;
  const cell = (key, index) => (index ? el("td", { class: key === "column.tls" ? null : "number" }) : el("th", { scope: "row" }));
  keyed(body, items, keyOf, () => el("tr", {}, ...columns.map(cell)), (row, item) => {
    const { health, cells } = cellsOf(item);
    row.className = health;
    cells.forEach((value, index) => fillCell(row.children[index], value));
  });
}

function fillCell(cell, value) {
  if (typeof value === "string") {
    say(cell, value);
    return;
  }
  if (!cell.firstChild) cell.append(el("button", { type: "button", class: "link", click: value.press }));
  say(cell.firstChild, value.words);
  cell.firstChild.setAttribute("aria-label", value.label);
}

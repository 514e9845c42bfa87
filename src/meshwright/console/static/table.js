/** The graph as a table: the same values, sortable. */
import { el, keyed, say, set } from "./dom.js";
import { edgeWords, healthOf, tlsWords } from "./edges.js";
import { ms, percent, rate, t } from "./i18n.js";
import { compare } from "./model.js";

const COLUMNS = [
  { key: "column.from", value: (edge, seen) => seen.nameOf(edge.source, t("unknown")) },
  { key: "column.to", value: (edge, seen) => seen.nameOf(edge.destination, t("unknown")) },
  { key: "column.service", value: (edge) => edge.service.replace(/\.svc\.cluster\.local$/, "") },
  { key: "column.protocol", value: (edge) => edge.protocol },
  { key: "column.rate", value: (edge) => (edge.live ? edge.rps : 0), words: (edge) => (edge.live ? t("per.second", { rate: rate(edge.rps) }) : t("idle")), number: true },
  { key: "column.errors", value: (edge) => (edge.live ? edge.error_share : 0), words: (edge) => percent(edge.live ? edge.error_share : 0), number: true },
  { name: "p50", value: (edge) => edge.p50_ms ?? -1, words: (edge) => ms(edge.p50_ms), number: true },
  { name: "p95", value: (edge) => edge.p95_ms ?? -1, words: (edge) => ms(edge.p95_ms), number: true },
  { key: "column.tls", value: (edge) => edge.mtls_share, words: (edge) => tlsWords(edge) },
];

/** Draws into `holder`; `open(edge id)` for its details. */
export class Table {
  constructor(holder, open) {
    this.open = open;
    this.column = 0;
    this.up = true;
    this.heads = COLUMNS.map((_, index) => el("button", { type: "button", click: () => this.sort(index) }));
    this.cells = this.heads.map((button, index) => el("th", { scope: "col", class: COLUMNS[index].number ? "number" : null }, button));
    this.last = el("th", { scope: "col" });
    this.body = el("tbody");
    this.root = el("table", {}, el("thead", {}, el("tr", {}, ...this.cells, this.last)), this.body);
    holder.append(this.root);
  }

  sort(column) {
    this.up = column === this.column ? !this.up : !COLUMNS[column].number;
    this.column = column;
    this.draw(this.seen, this.selected);
  }

  draw(seen, selected) {
    this.seen = seen;
    this.selected = selected;
    set(this.root, { "aria-label": t("graph.label") });
    say(this.last, t("column.details"));
    this.cells.forEach((cell, index) => {
      const own = index === this.column;
      set(cell, { "aria-sort": own ? (this.up ? "ascending" : "descending") : "none" });
      say(this.heads[index], (COLUMNS[index].name ?? t(COLUMNS[index].key)) + (own ? (this.up ? " ↑" : " ↓") : ""));
    });
    const { value, number } = COLUMNS[this.column];
    const order = (a, b) => (number ? value(a, seen) - value(b, seen) : compare(String(value(a, seen)), String(value(b, seen)))) * (this.up ? 1 : -1);
    const rows = seen.picture().edges.sort((a, b) => order(a, b) || compare(a.id, b.id));
    keyed(this.body, rows, (edge) => edge.id, (edge) => this.row(edge.id), (row, edge) => this.fill(row, edge));
  }

  row(id) {
    const cells = COLUMNS.map((column, index) => el(index === 0 ? "th" : "td", { scope: index === 0 ? "row" : null, class: column.number ? "number" : null }));
    return el("tr", { "data-row": id }, ...cells, el("td", {}, el("button", { type: "button", class: "small", click: () => this.open(id) })));
  }

  fill(row, edge) {
    set(row, { class: `${healthOf(edge)}${edge.id === this.selected ? " selected" : ""}` });
    COLUMNS.forEach((column, index) => say(row.children[index], column.words ? column.words(edge) : column.value(edge, this.seen)));
    const button = row.lastElementChild.firstElementChild;
    say(button, t("details"));
    set(button, { "aria-label": `${t("details")}: ${edgeWords(edge, this.seen)}` });
  }
}

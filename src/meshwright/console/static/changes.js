/** The last changes: who, when, what, how far they are; what is different, and a way back. */
import { call } from "./api.js";
import { differences } from "./difference.js";
import { at, el, keyed, say, set } from "./dom.js";
import { clock, t } from "./i18n.js";

const SHOWN_OBJECTS = 3;

/** How far a change is, as the command line says it. */
export function receiptWords(receipt) {
  if (!receipt) return t("receipt.none");
  if (receipt.withheld?.length) return withheldWords(receipt);
  if (!receipt.affected) return t("receipt.nobody");
  const absent = receipt.absent.length ? `; ${t("receipt.absent", { names: receipt.absent.join(", ") })}` : "";
  return progressWords(receipt) + absent;
}

function progressWords(receipt) {
  const total = receipt.affected;
  const away = receipt.absent.length;
  if (receipt.live) return t("receipt.live", { reached: total - away, total, ms: Math.round(receipt.milliseconds) });
  if (receipt.refused.length && !receipt.waiting.length) {
    return t("receipt.refused", { count: receipt.refused.length, total, names: receipt.refused.join(", ") });
  }
  return t("receipt.waiting", { reached: total - receipt.waiting.length - away, total, names: receipt.waiting.join(", ") });
}

/** Sentences of the mesh about objects that wait for others, then how far the rest is. */
function withheldWords(receipt) {
  const rest = receipt.affected ? [receiptWords({ ...receipt, withheld: [] })] : [];
  return [...receipt.withheld, ...rest].join("; ");
}

function stateOf(receipt) {
  if (receipt?.withheld?.length) return "some";
  if (!receipt || !receipt.affected) return "quiet";
  if (receipt.refused.length) return "bad";
  return receipt.live ? "good" : "some";
}

/** Draws into `holder`; `tell(text)` says what became of an undo. */
export class Changes {
  constructor(holder, tell) {
    this.tell = tell;
    this.all = [];
    this.open = new Map();
    this.none = el("p", { class: "muted" });
    this.list = el("ol", { class: "change-list" });
    holder.append(this.none, this.list);
    at("own").addEventListener("change", () => this.draw());
    at("undo-no").addEventListener("click", () => at("undo").close());
    at("undo-yes").addEventListener("click", () => this.undo());
  }

  take(changes) {
    this.all = changes;
    this.draw();
  }

  /** Everything anew, in the language of now. */
  rebuild() {
    this.open.clear();
    this.list.replaceChildren();
    this.list.keyedChildren = new Map();
    this.draw();
  }

  draw() {
    const shown = this.all.filter((change) => at("own").checked || !change.author.startsWith("controller/"));
    say(this.none, t("changes.none"));
    this.none.hidden = shown.length > 0;
    keyed(this.list, shown, (change) => change.number, (change) => this.item(change), fill);
  }

  item(change) {
    const diff = el("button", { type: "button", class: "small", "aria-expanded": "false", "aria-label": t("diff.of", change) }, t("diff"));
    const undo = el("button", { type: "button", class: "small", "aria-label": t("undo.of", change), click: () => this.ask(change) }, t("undo"));
    const objects = change.objects.slice(0, SHOWN_OBJECTS).join(", ");
    const more = change.objects.length > SHOWN_OBJECTS ? ` ${t("change.more", { count: change.objects.length - SHOWN_OBJECTS })}` : "";
    const item = el(
      "li",
      { "data-change": change.number },
      el("span", { class: "number" }, `#${change.number}`),
      el("div", { class: "what" },
        el("p", {}, el("strong", {}, objects + more), change.message ? el("span", { class: "message" }, ` ${change.message}`) : null),
        el("p", { class: "muted" }, el("time", { datetime: new Date(change.time).toISOString() }, clock(change.time)), ` · ${t("change.by", change)}`),
        el("p", { class: "receipt" }, el("span", { class: "dot", "aria-hidden": "true" }), el("span"))),
      el("div", { class: "buttons" }, diff, undo),
    );
    diff.addEventListener("click", () => this.toggle(change, item, diff));
    return item;
  }

  async toggle(change, item, button) {
    const shown = this.open.get(change.number);
    if (shown) {
      shown.remove();
      this.open.delete(change.number);
      set(button, { "aria-expanded": "false" });
      return;
    }
    const place = el("div", { class: "below" });
    item.append(place);
    this.open.set(change.number, place);
    set(button, { "aria-expanded": "true" });
    try {
      place.append(differences(await call("GET", `/api/v1/changes/${change.number}/diff`)));
    } catch (error) {
      place.append(el("p", { class: "bad" }, t("failed", { reason: error.message })));
    }
  }

  /** Nothing is undone without a yes. */
  ask(change) {
    this.asked = change;
    say(at("undo-title"), t("undo.ask", change));
    at("undo-objects").replaceChildren(...change.objects.map((object) => el("li", {}, object)));
    at("undo").showModal();
    at("undo-no").focus();
  }

  async undo() {
    const { number } = this.asked;
    at("undo").close();
    try {
      const done = await call("POST", `/api/v1/changes/${number}/undo`, {});
      this.tell(t("undo.done", { number, new: done.change, receipt: receiptWords(done.receipt) }), "good");
      this.take((await call("GET", "/api/v1/changes")).changes);
    } catch (error) {
      this.tell(t("undo.failed", { number, reason: error.message }), "bad");
    }
  }
}

function fill(item, change) {
  const receipt = item.querySelector(".receipt");
  set(receipt, { class: `receipt ${stateOf(change.receipt)}` });
  say(receipt.lastElementChild, receiptWords(change.receipt));
}

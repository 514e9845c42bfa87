/** The last changes: who, when, what, how far they are; what is different, and a way back. */
import { call } from "./api.js";
import { differences } from "./difference.js";
import { at, el, keyed, say, set } from "./dom.js";
import { clock, fullTime, ms, reasonOf, sentence, t } from "./i18n.js";

const SHOWN_OBJECTS = 3;
const SHOWN_NAMES = 4;
const GRAVE = 5; // so many deleted objects are worth a warning

/** How far a change is, as the command line says it. */
export function receiptWords(receipt) {
  if (!receipt) return ""; // of an earlier control plane, or of the start
  if (receipt.withheld?.length) return withheldWords(receipt);
  if (receipt.steps?.length) return stepWords(receipt);
  if (!receipt.affected) return t("receipt.nobody");
  const absent = receipt.absent.length ? t("joined") + t("receipt.absent", { names: named(receipt.absent) }) : "";
  return progressWords(receipt) + absent;
}

function named(names) {
  const more = names.length - SHOWN_NAMES;
  return more > 0 ? `${names.slice(0, SHOWN_NAMES).join(", ")} ${t("change.more", { count: more })}` : names.join(", ");
}

function progressWords(receipt) {
  const total = receipt.affected;
  const away = receipt.absent.length;
  if (receipt.live) return t("receipt.live", { reached: total - away, total, took: ms(receipt.milliseconds) });
  if (receipt.refused.length && !receipt.waiting.length) {
    return t("receipt.refused", { count: receipt.refused.length, total, names: named(receipt.refused) });
  }
  return t("receipt.waiting", { reached: total - receipt.waiting.length - away, total, names: named(receipt.waiting) });
}

/** Sentences of the mesh about objects that wait for others, then how far the rest is. */
function withheldWords(receipt) {
  const rest = receipt.affected ? [receiptWords({ ...receipt, withheld: [] })] : [];
  const held = receipt.withheld.map((each, index) => sentence(receipt.withheld_said?.[index], each));
  return [...held, ...rest].join(t("joined"));
}

/** Which step of TLS modes is on its way, and whom it waits for. */
function stepWords({ stages, waiting }) {
  const step = stages?.length ? t(`step.${stages[0]}`) : "…";
  return waiting.length ? t("receipt.steps.waiting", { step, names: named(waiting) }) : t("receipt.steps", { step });
}

function stateOf(receipt) {
  if (receipt?.withheld?.length || receipt?.steps?.length) return "some";
  if (!receipt || !receipt.affected) return "quiet";
  if (receipt.refused.length) return "bad";
  return receipt.live ? "good" : "some";
}

/** Draws into `holder`; `tell(text)` says what became of an undo. */
export class Changes {
  constructor(holder, tell) {
    this.tell = tell;
    this.all = null; // not known yet
    this.open = new Map();
    this.none = el("p", { class: "muted" });
    this.list = el("ol", { class: "change-list" });
    holder.append(this.none, this.list);
    at("undo-no").addEventListener("click", () => at("undo").close());
    at("undo-yes").addEventListener("click", () => this.undo());
  }

  /** What the mesh says; null while it does not answer and nothing is known. */
  take(changes) {
    this.all = changes ?? this.all;
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
    say(this.none, t(this.all ? "changes.none" : "changes.away"));
    this.none.hidden = this.all?.length > 0;
    keyed(this.list, this.all ?? [], (change) => change.number, (change) => this.item(change), fill);
  }

  item(change) {
    const diff = el("button", { type: "button", class: "small", "aria-expanded": "false", "aria-label": t("diff.of", change) }, t("diff"));
    const undo = el("button", { type: "button", class: "small", "aria-label": t("undo.of", change), click: () => this.ask(change) }, t("undo"));
    const objects = change.objects.slice(0, SHOWN_OBJECTS).join(", ");
    const more = change.objects.length > SHOWN_OBJECTS ? ` ${t("change.more", { count: change.objects.length - SHOWN_OBJECTS })}` : "";
    const message = sentence(change.said, change.message);
    const many = more && message; // a message like "up, profile demo" says more than the first of 25 names
    const [title, rest] = many ? [message, t("change.objects", { count: change.objects.length, objects })] : [objects + more, ""];
    const author = t("change.by", change) + (many || !message ? "" : ` · ${message}`);
    const when = new Date(change.time);
    const time = el("time", { datetime: when.toISOString(), title: fullTime(change.time) }, clock(change.time));
    const item = el(
      "li",
      { "data-change": change.number },
      el("span", { class: "number" }, `#${change.number}`),
      el("div", { class: "what" },
        el("p", { class: "short", title: change.objects.join(", ") }, el("strong", {}, title)),
        rest ? el("p", { class: "short" }, rest) : null,
        el("p", { class: "muted short", title: message }, time, ` · ${author}`),
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
      place.append(el("p", { class: "bad" }, t("failed", { reason: reasonOf(error) })));
    }
  }

  /** Nothing is undone without a yes to what that means. */
  async ask(change) {
    this.asked = change;
    say(at("undo-title"), t("undo.ask", change));
    say(at("undo-grave"), "");
    at("undo-objects").replaceChildren(...change.objects.map((object) => el("li", {}, object)));
    at("undo").showModal();
    at("undo-no").focus();
    try {
      const { differences: parts } = await call("GET", `/api/v1/changes/${change.number}/diff`);
      if (this.asked !== change) return;
      const kind = ({ before, after }) => (!before ? "undo.deletes" : !after ? "undo.creates" : "undo.changes");
      at("undo-objects").replaceChildren(...parts.map((each) => el("li", {}, t(kind(each), each))));
      const gone = parts.filter((each) => !each.before).length;
      if (gone >= GRAVE) say(at("undo-grave"), t("undo.grave", { count: gone }));
    } catch {
      // the names alone stay; whether it can be undone is said by the mesh
    }
  }

  async undo() {
    const { number } = this.asked;
    at("undo").close();
    try {
      const done = await call("POST", `/api/v1/changes/${number}/undo`, {});
      this.tell(t("undo.done", { number, new: done.change, receipt: receiptWords(done.receipt) }), "good");
      this.take((await call("GET", "/api/v1/changes")).changes);
    } catch (error) {
      this.tell(t("undo.failed", { number, reason: reasonOf(error) }), "bad");
    }
  }
}

function fill(item, change) {
  const receipt = item.querySelector(".receipt");
  receipt.hidden = !change.receipt;
  set(receipt, { class: `receipt ${stateOf(change.receipt)}` });
  say(receipt.lastElementChild, receiptWords(change.receipt));
}

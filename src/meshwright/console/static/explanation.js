/** An answer of `explain` as a list of steps, each with the object and field behind it. */
import { el } from "./dom.js";
import { hasWords, sentence, t, tOr } from "./i18n.js";

/** @returns {Node} */
export function explanation(answer) {
  const outcome = `${answer.method} ${answer.to} ${t(`outcome.${answer.outcome}`)}${answer.status ? ` (${answer.status})` : ""}`;
  return el(
    "div",
    {},
    el("h4", {}, t("why.title")),
    el("p", { class: answer.outcome === "fail" || answer.outcome === "deny" ? "bad" : "" }, outcome),
    el("ol", { class: "steps" }, ...answer.steps.map(step)),
    el("p", { class: "muted" }, t("why.part")),
  );
}

function step(each) {
  return el(
    "li",
    { class: each.verdict },
    el("span", { class: "stage" }, tOr(`stage.${each.stage}`, each.stage)),
    " ",
    el("span", { class: "verdict" }, tOr(`verdict.${each.verdict}`, each.verdict)),
    el("span", { class: "reason", lang: hasWords(each.said) ? null : "en" }, sentence(each.said, each.why)),
    el("code", { class: "origin" }, each.origin ? originWords(each.origin) : t("why.default")),
  );
}

function originWords(origin) {
  const place = origin.namespace ? `${origin.namespace}/${origin.name}` : origin.name;
  const line = origin.file ? `(${origin.file}:${origin.line})` : "";
  return [origin.kind, place, origin.path, line].filter(Boolean).join(" ");
}

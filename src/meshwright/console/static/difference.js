/** What is different in an object, field by field. */
import { el } from "./dom.js";
import { t } from "./i18n.js";

/** Fields that the mesh writes itself. */
const OWN = /^(status|metadata\.(uid|generation|resourceVersion|creationTimestamp|managedFields|selfLink|annotations\.(kubectl\.kubernetes\.io\/last-applied-configuration|deployment\.kubernetes\.io\/revision)))(\.|\[|$)/;
const KNOWN = new Set(["apiVersion", "kind", "metadata.name", "metadata.namespace"]);

/** Every leaf of a value by its path: `spec.http[0].route[0].weight`. */
export function leaves(value, path = "", into = new Map()) {
  if (Array.isArray(value) && value.length) value.forEach((each, index) => leaves(each, `${path}[${index}]`, into));
  else if (value && typeof value === "object" && Object.keys(value).length) {
    for (const [name, each] of Object.entries(value)) leaves(each, path ? `${path}.${name}` : name, into);
  } else if (path) into.set(path, typeof value === "string" ? value : JSON.stringify(value));
  return into;
}

/** [path, before, after] of the leaves that a person writes and that are different; undefined = not there. */
export function changedLeaves(before, after) {
  const old = leaves(before ?? {});
  const now = leaves(after ?? {});
  const whole = !before || !after;
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((path) => !OWN.test(path) && !(whole && KNOWN.has(path)) && old.get(path) !== now.get(path))
    .map((path) => [path, old.get(path), now.get(path)]);
}

/** All objects of a change. @returns {Node} */
export function differences(answer) {
  const parts = answer.differences.map(one);
  return el("div", { class: "diff", tabindex: 0, role: "group", "aria-label": t("diff") }, ...(parts.length ? parts : [el("p", { class: "muted" }, t("diff.none"))]));
}

function one({ object, before, after }) {
  const rows = changedLeaves(before, after);
  const kind = !before ? "created" : !after ? "deleted" : "changed";
  const head = el("h3", {}, object, " ", el("span", { class: `tag ${kind}` }, t(`diff.${kind}`)));
  if (!rows.length) return el("div", {}, head, el("p", { class: "muted" }, t("diff.none")));
  const names = kind === "changed" ? ["column.field", "column.before", "column.after"] : ["column.field", "column.value"];
  const cells = names.map((key) => el("th", { scope: "col" }, t(key)));
  return el("div", {}, head, el("div", { class: "scroll" }, el("table", { "aria-label": object }, el("thead", {}, el("tr", {}, ...cells)), el("tbody", {}, ...rows.map((each) => row(each, kind))))));
}

function row([path, before, after], kind) {
  const sides = [kind === "created" ? null : value(before, "old", "−"), kind === "deleted" ? null : value(after, "new", "+")];
  return el("tr", {}, el("th", { scope: "row" }, el("code", {}, ...breakable(path))), ...sides);
}

/** A path that goes on in the next line behind one of its dots, not within a word. */
function breakable(path) {
  return path.split(/(?<=\.)/).flatMap((part, index) => (index ? [el("wbr"), part] : [part]));
}

function value(text, kind, sign) {
  if (text === undefined) return el("td", { class: "nothing" }, "–");
  return el("td", { class: kind }, el("span", { "aria-hidden": "true" }, `${sign} `), el("code", {}, text));
}

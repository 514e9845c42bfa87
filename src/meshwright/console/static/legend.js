/** What the signs of the graph mean. */
import { el, svg } from "./dom.js";
import { lock } from "./graph.js";
import { t } from "./i18n.js";

let shown = "";

/** `crowd`: labels are hidden until somebody points at something. */
export function drawLegend(place, crowd) {
  const key = `${t("legend")} ${crowd}`;
  if (shown === key) return;
  shown = key;
  place.setAttribute("aria-label", t("legend"));
  const line = (kind) => el("span", { class: kind }, el("i"), t(`legend.${kind}`));
  place.replaceChildren(
    ...["good", "some", "bad", "idle"].map(line),
    el("span", {}, svg("svg", { viewBox: "0 0 9 11", "aria-hidden": "true" }, lock(0, 0, false)), t("legend.lock")),
    el("span", {}, t("legend.p95")),
    el("span", {}, t(crowd ? "legend.crowd" : "legend.click")),
  );
}

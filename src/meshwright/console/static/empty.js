/** What to do while there is no traffic. */
import { el } from "./dom.js";
import { t } from "./i18n.js";
import { flip } from "./visitors.js";

let shown = "";

/** `ingress` is the gateway's address if there is one; `visitors` whether the demo's visitors come, null without any. */
export function drawEmpty(place, { ingress, visitors, seconds }) {
  const key = JSON.stringify([t("empty"), ingress, visitors, seconds]);
  if (shown === key) return;
  shown = key;
  const command = (text) => el("pre", { tabindex: "0" }, el("code", {}, text));
  const path = visitors === null ? "/" : "/productpage"; // who has visitors has the demo
  place.replaceChildren(
    el("h3", {}, t("empty", { seconds })),
    ...(visitors === false ? [el("p", {}, t("empty.visitors")), el("p", {}, el("button", { type: "button", class: "strong", click: flip }, t("empty.on")))] : []),
    ...(ingress ? [el("p", {}, t("empty.how")), command(`curl ${ingress}${path}`)] : []),
    el("p", {}, t("empty.program")),
    command("meshwright run NAME --port PORT -- COMMAND"),
  );
}

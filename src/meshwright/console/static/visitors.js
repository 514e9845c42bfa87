/** The switch for the demo's visitors; it hides where the mesh has none. */
import { call } from "./api.js";
import { at, el, set } from "./dom.js";
import { t } from "./i18n.js";

let on = null;
let failed = () => {};

/** Who is told that a switch did not work: `tell(error)`. */
export function onFailure(tell) {
  failed = tell;
}

/** Whether they come; null where the mesh has none. */
export function visitorsCome() {
  return on;
}

/** Ask and draw. */
export async function showVisitors() {
  try {
    on = (await call("GET", "/api/v1/visitors")).on;
  } catch {
    on = null;
  }
  drawVisitors();
}

/** Draw in the language of now. */
export function drawVisitors() {
  const place = at("visitors");
  place.hidden = on === null;
  if (on === null) return;
  if (!place.firstChild) place.append(el("button", { type: "button", role: "switch", class: "switch", click: flip }));
  const button = place.firstChild;
  button.textContent = t("visitors");
  set(button, { "aria-checked": String(on), title: t("visitors.hint") });
}

/** Switch them. */
export async function flip() {
  try {
    on = (await call("PUT", "/api/v1/visitors", { on: !on })).on;
  } catch (error) {
    failed(error);
  }
  drawVisitors();
}

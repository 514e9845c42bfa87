/** Small helpers to build and to keep elements. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element. Attributes that are functions become listeners, true and false switch, null is left out.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. @returns {any} */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  set(element, attributes);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set attributes; writes only what is another value. */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name, value);
    } else if (value === null || value === undefined || value === false) {
      element.removeAttribute(name);
    } else {
      const text = value === true ? "" : String(value);
      if (element.getAttribute(name) !== text) element.setAttribute(name, text);
    }
  }
}

/** Set the text; writes only when it is another one. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The element with an id. @returns {any} */
export function at(id) {
  return document.getElementById(id);
}

/**
 * Make the children of `parent` those of `items`, one each, in their order. Elements stay the same for equal keys and
 * are not moved without need, so that focus and what is open inside stay.
 */
export function keyed(parent, items, keyOf, create, update) {
  const before = parent.keyedChildren ?? new Map();
  const after = new Map();
  for (const item of items) {
    const key = keyOf(item);
    after.set(key, before.get(key) ?? create(item));
  }
  for (const [key, element] of before) if (!after.has(key)) element.remove();
  const own = new Set(after.values());
  let cursor = parent.firstChild;
  for (const item of items) {
    const element = after.get(keyOf(item));
    while (cursor && !own.has(cursor)) cursor = cursor.nextSibling; // what others put between stays there
    if (element === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(element, cursor);
    update(element, item);
  }
  parent.keyedChildren = after;
}

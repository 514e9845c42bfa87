/** How wide a text is drawn, and what of it fits. */

const pen = document.createElement("canvas").getContext("2d");
const widths = new Map();
const MOST_KEPT = 2000;

/** The width in px; `style` is what stands before the family in CSS's `font`: "600 13px". */
export function widthOf(text, style) {
  const key = `${style} ${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    if (widths.size >= MOST_KEPT) widths.clear();
    pen.font = `${style} ${getComputedStyle(document.documentElement).fontFamily}`;
    width = pen.measureText(text).width;
    widths.set(key, width);
  }
  return width;
}

/** As much of the text as fits, with … for the rest. */
export function fit(text, style, width) {
  if (widthOf(text, style) <= width) return text;
  let most = text.length - 1;
  while (most > 1 && widthOf(`${text.slice(0, most)}…`, style) > width) most -= 1;
  return `${text.slice(0, most)}…`;
}

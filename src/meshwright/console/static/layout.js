/** Where boxes stand: in layers from callers to called. A box keeps its place while others come and go. */
import { widthOf } from "./measure.js";

export const HEAD = 42;
export const NAME = "600 13px";
export const UNDER = "11.5px";
export const SIDE = 12; // from a box's edge to its text
const ROW = 26;
const WIDE_ROW = 50; // several versions: each one's edges have a label of their own
const SPACE = 36;
const BOX = { least: 108, most: 196 };
const GAP = { least: 112, most: 190 };
const MARGIN = 12;

/** The height of one version in a box. */
export function rowOf(box) {
  return box.rows.filter((row) => row.version).length > 1 ? WIDE_ROW : ROW;
}

/** The height of a box. */
export function heightOf(box) {
  return HEAD + box.rows.filter((row) => row.version).length * rowOf(box) + (box.rows.some((row) => row.version) ? 8 : 4);
}

function wish(box) {
  const words = Math.max(widthOf(box.title, NAME), widthOf(box.under, UNDER), ...box.rows.map((row) => widthOf(row.version, NAME) + 8));
  return Math.min(BOX.most, Math.max(BOX.least, Math.ceil(words) + 2 * SIDE));
}

/** Remembers places. `place` is called with every picture. */
export class Places {
  constructor() {
    this.at = new Map(); // key -> {layer, y}
  }

  /** Forget all places: the next picture is laid out anew. */
  tidy() {
    this.at.clear();
  }

  /**
   * `room` is the width in px that there is.
   * @returns {{places: Map<string, {x: number, y: number, width: number, height: number}>, width: number}}
   */
  place(boxes, edges, room) {
    const layers = layersOf(boxes, edges, this.at);
    for (const key of this.at.keys()) if (!layers.has(key)) this.at.delete(key);
    const rows = [];
    for (const box of boxes) (rows[layers.get(box.key)] ??= []).push(box);
    for (let layer = 0; layer < rows.length; layer += 1) this.settle(rows[layer] ?? [], layer, edges);
    const used = rows.filter(Boolean); // a layer that nobody is in any more takes no room
    const widths = used.map((row) => Math.max(...row.map(wish)));
    const total = widths.reduce((sum, width) => sum + width, 2 * MARGIN);
    const gap = Math.min(GAP.most, Math.max(GAP.least, Math.floor((room - total) / Math.max(1, used.length - 1))));
    const places = new Map();
    let x = MARGIN;
    used.forEach((row, index) => {
      for (const box of row) places.set(box.key, { x, y: this.at.get(box.key).y, width: widths[index], height: heightOf(box) });
      x += widths[index] + gap;
    });
    return { places, width: Math.max(0, x - gap + MARGIN) };
  }

  settle(here, layer, edges) {
    const old = here.filter((box) => this.at.get(box.key)?.layer === layer);
    const fresh = here.filter((box) => !old.includes(box));
    const wished = new Map(fresh.map((box) => [box, this.wish(box, edges)]));
    fresh.sort((a, b) => wished.get(a) - wished.get(b));
    if (!old.length) {
      const total = fresh.reduce((sum, box) => sum + heightOf(box) + SPACE, -SPACE);
      let y = fresh.reduce((sum, box) => sum + wished.get(box), 0) / (fresh.length || 1) - total / 2;
      for (const box of fresh) {
        this.at.set(box.key, { layer, y: Math.round(y) });
        y += heightOf(box) + SPACE;
      }
      return;
    }
    const order = old.sort((a, b) => this.at.get(a.key).y - this.at.get(b.key).y);
    let bottom = -Infinity; // a box that got another version pushes those below it
    for (const box of order) {
      const place = this.at.get(box.key);
      place.y = Math.max(place.y, bottom);
      bottom = place.y + heightOf(box) + SPACE;
    }
    for (const box of fresh) {
      this.at.set(box.key, { layer, y: bottom });
      bottom += heightOf(box) + SPACE;
    }
  }

  /** The middle of a box's callers. */
  wish(box, edges) {
    const callers = edges.filter((edge) => edge.to === box.key && edge.from !== box.key && this.at.has(edge.from));
    if (!callers.length) return 0;
    return callers.reduce((sum, edge) => sum + this.at.get(edge.from).y + HEAD, 0) / callers.length;
  }
}

/**
 * The longest way from a caller whom nobody calls; calls in a circle do not count. A box stays in the layer where it
 * stood, also when its callers have gone, and moves only where a new caller would stand behind it.
 */
function layersOf(boxes, edges, before) {
  const next = new Map(boxes.map((box) => [box.key, new Set()]));
  for (const edge of edges) if (edge.from !== edge.to && next.has(edge.to)) next.get(edge.from)?.add(edge.to);
  const called = new Set([...next.values()].flatMap((all) => [...all]));
  const layers = new Map();
  const open = new Set();
  const visit = (key, least) => {
    const layer = Math.max(least, before.get(key)?.layer ?? 0);
    if (open.has(key) || (layers.get(key) ?? -1) >= layer) return;
    layers.set(key, layer);
    open.add(key);
    for (const each of next.get(key)) visit(each, layer + 1);
    open.delete(key);
  };
  for (const box of boxes) if (!called.has(box.key)) visit(box.key, 0);
  for (const box of boxes) if (!layers.has(box.key)) visit(box.key, 0);
  return layers;
}

/** Where boxes stand: in layers from callers to called. A box keeps its place while others come and go. */

export const BOX = 172;
export const GAP = 188;
export const HEAD = 42;
const ROW = 26;
const WIDE_ROW = 46; // several versions: each one's edges have a label of their own
const SPACE = 36;

/** The height of one version in a box. */
export function rowOf(box) {
  return box.rows.filter((row) => row.version).length > 1 ? WIDE_ROW : ROW;
}

/** The height of a box. */
export function heightOf(box) {
  return HEAD + box.rows.filter((row) => row.version).length * rowOf(box) + (box.rows.some((row) => row.version) ? 8 : 4);
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

  /** @returns {Map<string, {x: number, y: number, height: number}>} and the frame around all */
  place(boxes, edges) {
    const layers = layersOf(boxes, edges);
    for (const key of this.at.keys()) if (!layers.has(key)) this.at.delete(key);
    const deepest = Math.max(0, ...layers.values());
    for (let layer = 0; layer <= deepest; layer += 1) {
      const here = boxes.filter((box) => layers.get(box.key) === layer);
      this.settle(here, layer, edges);
    }
    const places = new Map(boxes.map((box) => {
      const { layer, y } = this.at.get(box.key);
      return [box.key, { x: layer * (BOX + GAP), y, height: heightOf(box) }];
    }));
    return { places, frame: frameOf(places) };
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

function frameOf(places) {
  const all = [...places.values()];
  if (!all.length) return { x: 0, y: 0, width: 0, height: 0 };
  const top = Math.min(...all.map((each) => each.y)) - 28;
  const bottom = Math.max(...all.map((each) => each.y + each.height)) + 28;
  const right = Math.max(...all.map((each) => each.x + BOX)) + 16;
  return { x: -16, y: top, width: right + 16, height: bottom - top };
}

/** The longest way from a caller whom nobody calls; calls in a circle do not count. */
function layersOf(boxes, edges) {
  const next = new Map(boxes.map((box) => [box.key, new Set()]));
  for (const edge of edges) if (edge.from !== edge.to && next.has(edge.to)) next.get(edge.from)?.add(edge.to);
  const called = new Set([...next.values()].flatMap((all) => [...all]));
  const layers = new Map();
  const open = new Set();
  const visit = (key, layer) => {
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

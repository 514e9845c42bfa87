/** The ways of lines between boxes, and where on them their labels stand. */
import { labelTexts } from "./edges.js";
import { HEAD, rowOf } from "./layout.js";
import { widthOf } from "./measure.js";

export const LOCK = 13; // room for the padlock before the rate
export const LABEL = { line: 14, fonts: { rate: "600 13px", errors: "600 12px", times: "12px" } };
const LABEL_SIDE = 8;
const STEP = 8; // a label's width grows in steps, so that it does not tremble with its numbers
const ARROW = 16;
const NEAR = 8;
const TURN = 64; // how far a line that goes back swings out
const BELOW = 30;
const ROUNDS = 8;

/**
 * Ways and labels for all edges. `kept` remembers which of its spots each label took; only labels that are `shown`
 * make room for each other.
 */
export function drawnEdges(edges, places, boxes, kept, shown) {
  const known = new Set(edges.map((edge) => edge.id));
  for (const id of kept.keys()) if (!known.has(id)) kept.delete(id);
  const leaving = counted(edges, "source");
  const arriving = counted(edges, "destination");
  const taken = [...places.values()];
  const drawn = edges.filter((edge) => places.has(edge.from) && places.has(edge.to)).map((edge) => {
    const lean = Math.sign(leaving.get(edge.source) - arriving.get(edge.destination));
    const line = lineOf(places, boxes, edge, lean);
    const each = { edge, line, texts: labelTexts(edge), spot: line.at(0.5) };
    Object.assign(each, sizeOf(each.texts, edge));
    if (each.texts.length && shown(edge)) each.spot = spotOf(each, lean, taken, kept);
    return each;
  });
  part(drawn.filter((each) => each.texts.length && shown(each.edge)));
  return drawn;
}

/** Top and bottom of all that is drawn. */
export function extent(drawn, places) {
  const tops = [...[...places.values()].map((each) => each.y), ...drawn.map((each) => each.spot.y - each.height / 2)];
  const bottoms = [
    ...[...places.values()].map((each) => each.y + each.height),
    ...drawn.map((each) => Math.max(each.spot.y + each.height / 2, each.line.bottom)),
  ];
  return tops.length ? { top: Math.min(...tops), bottom: Math.max(...bottoms) } : { top: 0, bottom: 0 };
}

function counted(edges, end) {
  const counts = new Map();
  for (const edge of edges) counts.set(edge[end], (counts.get(edge[end]) ?? 0) + 1);
  return counts;
}

function rowAt(box, id) {
  const rows = box.rows.filter((row) => row.version);
  const index = rows.findIndex((row) => row.id === id);
  return index < 0 ? HEAD / 2 : HEAD + (index + 0.5) * rowOf(box);
}

/** `lean` 1: lines that part soon run level at their end; -1: lines that meet run level at their start; 0: neither. */
function lineOf(places, boxes, edge, lean) {
  const from = places.get(edge.from);
  const to = places.get(edge.to);
  const a = { x: from.x + from.width, y: from.y + rowAt(boxes.get(edge.from), edge.source) };
  const b = { x: to.x, y: to.y + rowAt(boxes.get(edge.to), edge.destination) };
  if (b.x > a.x) {
    const wide = b.x - a.x;
    return curve([a, { x: a.x + wide * (0.42 - lean * 0.3), y: a.y }, { x: b.x - wide * (0.42 + lean * 0.3), y: b.y }, b]);
  }
  const low = Math.max(from.y + from.height, to.y + to.height) + BELOW; // back to an earlier layer: below the boxes
  const middle = { x: (a.x + b.x) / 2, y: low };
  return curve(
    [a, { x: a.x + TURN, y: a.y }, { x: a.x + TURN, y: low }, middle],
    [middle, { x: b.x - TURN, y: low }, { x: b.x - TURN, y: b.y }, b],
  );
}

function curve(...parts) {
  const path = parts.map((p) => `C${p[1].x} ${p[1].y} ${p[2].x} ${p[2].y} ${p[3].x} ${p[3].y}`);
  return {
    path: `M${parts[0][0].x} ${parts[0][0].y}${path.join("")}`,
    bottom: Math.max(...parts.flat().map((point) => point.y)),
    ahead: parts.length === 1,
    from: parts[0][0].x,
    to: parts.at(-1)[3].x,
    at(share) {
      const index = Math.min(parts.length - 1, Math.floor(share * parts.length));
      const s = share * parts.length - index;
      const weights = [(1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s * s * (1 - s), s ** 3];
      const sum = (axis) => weights.reduce((total, weight, point) => total + weight * parts[index][point][axis], 0);
      return { x: sum("x"), y: sum("y") };
    },
  };
}

/** The point of a line that runs ahead at a distance from the left. */
function pointAt(line, x) {
  let [low, high] = [0, 1];
  for (let round = 0; round < 14; round += 1) {
    const middle = (low + high) / 2;
    if (line.at(middle).x < x) low = middle;
    else high = middle;
  }
  return line.at(low);
}

function sizeOf(texts, edge) {
  if (!texts.length) return { width: 0, height: 0 };
  const widths = texts.map(({ kind, words }) => widthOf(words, LABEL.fonts[kind]) + (kind === "rate" && edge.mtls_share > 0 ? LOCK : 0));
  return { width: Math.ceil((Math.max(...widths) + 2 * LABEL_SIDE) / STEP) * STEP, height: texts.length * LABEL.line + 8 };
}

function rectOf({ spot, width, height }) {
  return { x: spot.x - width / 2, y: spot.y - height / 2, width, height };
}

/** The spot where the label covers least: the one that it had, if it is as good as any. */
function spotOf(each, lean, taken, kept) {
  const { edge, line, width } = each;
  const spots = [line.at(0.5)];
  if (line.ahead) {
    const end = pointAt(line, line.to - ARROW - width / 2);
    const start = pointAt(line, line.from + NEAR + width / 2);
    if (lean > 0) spots.unshift(end, pointAt(line, line.to - ARROW - width));
    else if (lean < 0) spots.unshift(start, pointAt(line, line.from + width));
    else spots.push(end, start);
  }
  const covered = spots.map((spot) => taken.reduce((sum, other) => sum + overlap(rectOf({ ...each, spot }), other), 0));
  const before = kept.get(edge.id);
  const least = Math.min(...covered);
  const best = covered[before] <= least + 1 ? before : covered.indexOf(least);
  kept.set(edge.id, best);
  taken.push(rectOf({ ...each, spot: spots[best] }));
  return spots[best];
}

/** Labels that still cover each other make room upwards and downwards. */
function part(labelled) {
  const order = [...labelled].sort((a, b) => a.spot.y - b.spot.y);
  for (let round = 0; round < ROUNDS; round += 1) {
    order.forEach((upper, index) => {
      for (const lower of order.slice(index + 1)) {
        if (!overlap(rectOf(upper), rectOf(lower))) continue;
        const shift = ((upper.height + lower.height) / 2 + 3 - (lower.spot.y - upper.spot.y)) / 2;
        upper.spot.y -= shift;
        lower.spot.y += shift;
      }
    });
  }
}

function overlap(a, b) {
  const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const high = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, wide) * Math.max(0, high);
}

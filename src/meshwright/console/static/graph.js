/** The live graph as SVG. */
import { keyed, say, set, svg } from "./dom.js";
import { ms, percent, rate, t } from "./i18n.js";
import { BOX, HEAD, Places, rowOf } from "./layout.js";

const LABEL = { width: 124, line: 14 };
const SPOTS = [0.5, 0.42, 0.58, 0.35, 0.65];
const ROUNDS = 8;
const MOST_PARTED = 150; // beyond it the pairs are too many to look at with every picture
const SMALLEST = 0.75; // below this scale the graph scrolls instead

/** How an edge's errors are shown: none, some, many. */
export function healthOf(edge) {
  if (!edge.live) return "idle";
  return edge.error_share >= 0.1 ? "bad" : edge.error_share > 0 ? "some" : "good";
}

/** mutual TLS of an edge in words. */
export function tlsWords(edge) {
  if (edge.nobody) return t("tls.nobody");
  if (edge.mtls_share >= 1) return t("tls.all");
  return edge.mtls_share > 0 ? t("tls.some", { share: percent(edge.mtls_share) }) : t("tls.none");
}

/** An edge in one sentence, for those who do not see it. */
export function edgeWords(edge, seen) {
  const from = seen.nameOf(edge.source, t("unknown"));
  const to = seen.nameOf(edge.destination, t("unknown"));
  if (!edge.live) return t("edge.idle", { from, to });
  const values = { from, to, rate: rate(edge.rps), errors: percent(edge.error_share), p95: ms(edge.p95_ms), tls: tlsWords(edge) };
  return t(edge.protocol === "tcp" ? "edge.label.tcp" : "edge.label", values);
}

/** Draws into `holder`; calls `open(edge id)` for a click or Enter on an edge. */
export class Graph {
  constructor(holder, open) {
    this.open = open;
    this.places = new Places();
    this.lines = svg("g", { class: "lines" });
    this.boxes = svg("g", { class: "boxes" });
    this.labels = svg("g", { class: "labels", "aria-hidden": "true" });
    this.root = svg("svg", { role: "group", class: "mesh" }, arrows(), this.lines, this.boxes, this.labels);
    holder.append(this.root);
  }

  tidy() {
    this.places.tidy();
  }

  /** Draw what was seen; `selected` is an edge id or "". */
  draw(seen, selected) {
    const { boxes, edges } = seen.picture();
    const { places, frame } = this.places.place(boxes, edges);
    set(this.root, { viewBox: `${frame.x} ${frame.y} ${frame.width} ${frame.height}`, width: frame.width, height: frame.height, "aria-label": t("graph.label") });
    this.root.style.minWidth = `${Math.round(frame.width * SMALLEST)}px`;
    const taken = [...places.values()].map((place) => ({ x: place.x, y: place.y, width: BOX, height: place.height }));
    const byKey = new Map(boxes.map((box) => [box.key, box]));
    const leaving = counted(edges, "source");
    const arriving = counted(edges, "destination");
    const drawn = edges.filter((edge) => places.has(edge.from) && places.has(edge.to)).map((edge) => {
      const lean = Math.sign(leaving.get(edge.source) - arriving.get(edge.destination));
      const line = lineOf(start(places, byKey, edge), end(places, byKey, edge), lean);
      return { edge, line, spot: edge.live ? spotOf(line, edge, taken) : line.at(0.5) };
    });
    if (drawn.length <= MOST_PARTED) partLabels(drawn.filter((each) => each.edge.live));
    const id = (each) => each.edge.id;
    keyed(this.lines, drawn, id, (each) => this.newEdge(each.edge.id), (element, each) => drawEdge(element, each, seen, selected));
    keyed(this.labels, drawn, id, (each) => this.newLabel(each.edge.id), (element, each) => drawLabel(element, each, selected));
    keyed(this.boxes, boxes, (box) => box.key, () => svg("g", {}), (element, box) => drawBox(element, box, places.get(box.key)));
  }

  newEdge(id) {
    const element = svg(
      "g",
      { role: "button", tabindex: "0", "data-edge": id },
      svg("path", { class: "touch" }),
      svg("path", { class: "wire" }),
      svg("path", { class: "flow" }),
    );
    element.addEventListener("click", () => this.open(id));
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.open(id);
    });
    const mark = (on) => this.labels.keyedChildren?.get(id)?.classList.toggle("focused", on && element.matches(":focus-visible"));
    element.addEventListener("focus", () => mark(true));
    element.addEventListener("blur", () => mark(false));
    return element;
  }

  newLabel(id) {
    const label = svg("g", { "data-label": id });
    label.addEventListener("click", () => this.open(id));
    return label;
  }

  /** Scroll so that an edge can be seen. */
  bring(id) {
    this.labels.keyedChildren?.get(id)?.scrollIntoView({ inline: "center", block: "nearest" });
  }
}

function counted(edges, end) {
  const counts = new Map();
  for (const edge of edges) counts.set(edge[end], (counts.get(edge[end]) ?? 0) + 1);
  return counts;
}

function arrows() {
  const one = (name) => svg("marker", { id: `arrow-${name}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse", class: name }, svg("path", { d: "M0 0.8 8 4 0 7.2z" }));
  return svg("defs", {}, ...["good", "some", "bad", "idle"].map(one));
}

// ---------------------------------------------------------------- lines

function rowAt(box, id) {
  const rows = box.rows.filter((row) => row.version);
  const index = rows.findIndex((row) => row.id === id);
  return index < 0 ? HEAD / 2 : HEAD + (index + 0.5) * rowOf(box);
}

function start(places, boxes, edge) {
  const place = places.get(edge.from);
  return { x: place.x + BOX, y: place.y + rowAt(boxes.get(edge.from), edge.source) };
}

function end(places, boxes, edge) {
  const place = places.get(edge.to);
  return { x: place.x, y: place.y + rowAt(boxes.get(edge.to), edge.destination) };
}

/** `lean` 1: lines that part soon run level at their end; -1: lines that meet run level at their start; 0: neither. */
function lineOf(a, b, lean) {
  const ahead = b.x > a.x;
  const wide = ahead ? b.x - a.x : 200;
  const drop = ahead ? 0 : 110; // back to an earlier layer: below the boxes
  const p = [a, { x: a.x + wide * (0.42 - lean * 0.3), y: a.y + drop }, { x: b.x - wide * (0.42 + lean * 0.3), y: b.y + drop }, b];
  return {
    path: `M${a.x} ${a.y}C${p[1].x} ${p[1].y} ${p[2].x} ${p[2].y} ${b.x} ${b.y}`,
    at(s) {
      const weights = [(1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s * s * (1 - s), s ** 3];
      const sum = (axis) => weights.reduce((total, weight, index) => total + weight * p[index][axis], 0);
      return { x: sum("x"), y: sum("y") };
    },
  };
}

/** The spot on the line where the label covers least; it is taken from then on. */
function spotOf(line, edge, taken) {
  const rect = (spot) => rectOf(edge, spot);
  const spots = SPOTS.map((share) => line.at(share));
  const covered = spots.map((each) => taken.reduce((sum, other) => sum + overlap(rect(each), other), 0));
  const spot = spots[covered.indexOf(Math.min(...covered))];
  taken.push(rect(spot));
  return spot;
}

function rectOf(edge, spot) {
  const height = heightOf(edge);
  return { x: spot.x - LABEL.width / 2, y: spot.y - height / 2, width: LABEL.width, height };
}

/** Labels that still cover each other make room upwards and downwards. */
function partLabels(drawn) {
  const order = [...drawn].sort((a, b) => a.spot.y - b.spot.y);
  for (let round = 0; round < ROUNDS; round += 1) {
    order.forEach((upper, index) => {
      for (const lower of order.slice(index + 1)) {
        if (!overlap(rectOf(upper.edge, upper.spot), rectOf(lower.edge, lower.spot))) continue;
        const wanted = (heightOf(upper.edge) + heightOf(lower.edge)) / 2 + 3;
        const shift = (wanted - (lower.spot.y - upper.spot.y)) / 2;
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

function heightOf(edge) {
  return LABEL.line * (1 + (edge.p95_ms === null ? 0 : 1) + (edge.error_share > 0 ? 1 : 0)) + 8;
}

function drawEdge(element, { edge, line }, seen, selected) {
  const health = healthOf(edge);
  const speed = edge.rps >= 10 ? "fast" : edge.rps >= 1 ? "steady" : "slow";
  set(element, {
    class: `edge ${health} ${speed}${edge.id === selected ? " selected" : ""}`,
    "aria-label": edgeWords(edge, seen),
    "data-count": edge.live ? edge.count : 0,
    "data-rps": edge.live ? edge.rps : 0,
  });
  const [touch, wire, flow] = element.children;
  for (const path of [touch, wire, flow]) set(path, { d: line.path });
  set(wire, { "marker-end": `url(#arrow-${health})` });
}

function drawLabel(label, { edge, spot }, selected) {
  const focused = label.classList.contains("focused") ? " focused" : "";
  set(label, {
    class: `label ${healthOf(edge)}${edge.id === selected ? " selected" : ""}${focused}`,
    transform: `translate(${Math.round(spot.x)} ${Math.round(spot.y)})`,
  });
  const texts = edge.live ? labelTexts(edge) : [];
  const key = JSON.stringify([texts, edge.mtls_share]);
  if (label.dataset.shown === key) return;
  label.dataset.shown = key;
  label.replaceChildren();
  if (!texts.length) return;
  const height = texts.length * LABEL.line + 8;
  label.append(svg("rect", { x: -LABEL.width / 2, y: -height / 2, width: LABEL.width, height, rx: 6 }));
  texts.forEach((text, index) => {
    const y = -height / 2 + 4 + LABEL.line * (index + 0.75);
    label.append(svg("text", { y, class: text.kind }, text.words));
  });
  if (edge.mtls_share > 0) label.append(lock(-LABEL.width / 2 + 9, -height / 2 + 6, edge.mtls_share < 1));
}

function labelTexts(edge) {
  const texts = [{ kind: "rate", words: t("per.second", { rate: rate(edge.rps) }) }];
  if (edge.error_share > 0) texts.push({ kind: "errors", words: `▲ ${t("edge.errors", { share: percent(edge.error_share) })}` });
  if (edge.p95_ms !== null) texts.push({ kind: "times", words: `p50 ${ms(edge.p50_ms).replace(/ ms$/, "")} · p95 ${ms(edge.p95_ms)}` });
  return texts;
}

/** A padlock; `open` where only a part is encrypted. */
function lock(x, y, open) {
  const bow = open ? "M2 5V3.2a2.6 2.6 0 0 1 5 -0.8" : "M2 5V3a2.5 2.5 0 0 1 5 0V5";
  return svg("g", { class: open ? "lock part" : "lock", transform: `translate(${x} ${y})` }, svg("path", { d: bow }), svg("rect", { x: 0.8, y: 5, width: 7.4, height: 5.6, rx: 1.2 }));
}

// ---------------------------------------------------------------- boxes

function drawBox(element, box, place) {
  const rows = box.rows.filter((row) => row.version);
  const outside = box.rows.length > 0 && box.rows.every((row) => !row.inMesh);
  set(element, { class: `box ${box.kind}${outside ? " outside" : ""}`, "data-box": box.key });
  element.style.transform = `translate(${place.x}px, ${place.y}px)`;
  const under = [box.namespace, kindWords(box, outside)].filter(Boolean).join(" · ");
  const name = box.name === "unknown" ? t("unknown") : box.name;
  const key = JSON.stringify([place.height, name, under, rows]);
  if (element.dataset.shown === key) return;
  element.dataset.shown = key;
  element.replaceChildren(
    svg("rect", { class: "frame", width: BOX, height: place.height, rx: 10 }),
    svg("text", { class: "name", x: 14, y: 19 }, cut(name, 22)),
    svg("text", { class: "under", x: 14, y: 34 }, cut(under, 28)),
    ...rows.map((row, index) => versionRow(row, index, rowOf(box))),
    svg("title", {}, [name, under].filter(Boolean).join(", ")),
  );
}

function kindWords(box, outside) {
  if (box.kind === "workload") return outside ? t("node.outside") : "";
  return box.name === "unknown" ? t("node.unknown") : t(`node.${box.kind}`);
}

function versionRow(row, index, height) {
  const group = svg("g", { class: "version", "data-node": row.id, transform: `translate(8 ${HEAD + index * height + 2})` });
  group.append(svg("rect", { width: BOX - 16, height: height - 4, rx: 6 }));
  const words = svg("text", { x: 8, y: height / 2 + 2.5 });
  say(words, cut(row.version, 22));
  group.append(words);
  return group;
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** The live graph as SVG. */
import { keyed, say, set, svg } from "./dom.js";
import { edgeWords, healthOf } from "./edges.js";
import { t } from "./i18n.js";
import { HEAD, NAME, Places, rowOf, SIDE, UNDER } from "./layout.js";
import { drawnEdges, extent, LABEL, LOCK } from "./lines.js";
import { fit } from "./measure.js";
import { Motion } from "./motion.js";

const SMALLEST = 0.8; // below this scale the graph scrolls instead
const CROWD = 40; // with more lines only those that somebody points at or chose have labels
const MARGIN = 20;
const GLIDE = "glide"; // boxes move slowly when others come, at once when the window changes

/** Draws into `holder`; calls `on.edge(id)` and `on.box(key)` for a click or Enter. */
export class Graph {
  constructor(holder, on) {
    this.holder = holder;
    this.on = on;
    this.places = new Places();
    this.spots = new Map();
    this.lines = svg("g", { class: "lines" });
    this.boxes = svg("g", { class: "boxes" });
    this.labels = svg("g", { class: "labels", "aria-hidden": "true" });
    this.root = svg("svg", { role: "group", class: "mesh" }, arrows(), this.lines, this.boxes, this.labels);
    this.motion = new Motion(this.lines);
    holder.append(this.root);
    this.pointed = "";
    this.root.addEventListener("pointerover", (event) => this.point(event.target.closest("[data-box]")?.dataset.box ?? ""));
    this.root.addEventListener("pointerleave", () => this.point(""));
    new ResizeObserver(() => this.resized()).observe(holder);
  }

  tidy() {
    this.places.tidy();
    this.spots.clear();
  }

  /** Draw what was seen; `selected` is {edge: id, box: key}, "" for none. */
  draw(seen, selected) {
    this.last = [seen, selected];
    const room = this.holder.clientWidth;
    if (!room) return;
    const { boxes, edges } = worded(seen.picture());
    const { places, width } = this.places.place(boxes, edges, room);
    const byKey = new Map(boxes.map((box) => [box.key, box]));
    const chosen = selected.box || this.pointed;
    for (const edge of edges) edge.kind = kindOf(edge, selected.edge, chosen);
    const crowd = edges.length > CROWD;
    const drawn = drawnEdges(edges, places, byKey, this.spots, (edge) => !crowd || edge.kind !== "");
    const { top, bottom } = extent(drawn, places);
    const height = bottom - top + 2 * MARGIN;
    set(this.root, { viewBox: `0 ${top - MARGIN} ${width} ${height}`, width, height, "aria-label": t("graph.label") });
    this.root.style.minWidth = `${Math.round(width * SMALLEST)}px`;
    this.root.classList.toggle(GLIDE, room === this.room);
    this.root.classList.toggle("crowd", crowd);
    this.room = room;
    const id = (each) => each.edge.id;
    for (const each of drawn) {
      each.kind = each.edge.kind;
      each.stop = !crowd || each.kind !== ""; // of many, Tab reaches those of a service from its panel
    }
    keyed(this.lines, drawn, id, (each) => this.newEdge(each.edge.id), (element, each) => drawEdge(element, each, seen));
    keyed(this.labels, drawn, id, (each) => this.newLabel(each.edge.id), drawLabel);
    keyed(this.boxes, boxes, (box) => box.key, (box) => this.newBox(box.key), (element, box) => drawBox(element, box, places.get(box.key), selected.box));
    this.root.classList.toggle("chosen", drawn.some((each) => each.kind === "near"));
  }

  resized() {
    if (this.last && this.holder.clientWidth !== this.room) this.draw(...this.last);
  }

  /** A service under the pointer or in focus shows its lines; "" ends it. */
  point(key) {
    if (key === this.pointed || !this.last) return;
    this.pointed = key;
    this.draw(...this.last);
  }

  newEdge(id) {
    const element = button(
      svg("g", { "data-edge": id }, svg("path", { class: "touch" }), svg("path", { class: "wire" }), svg("path", { class: "flow" })),
      () => this.on.edge(id),
    );
    const mark = (name, on) => this.labels.keyedChildren?.get(id)?.classList.toggle(name, on);
    element.addEventListener("focus", () => mark("focused", element.matches(":focus-visible")));
    element.addEventListener("blur", () => mark("focused", false));
    element.addEventListener("pointerenter", () => mark("pointed", true));
    element.addEventListener("pointerleave", () => mark("pointed", false));
    return element;
  }

  newLabel(id) {
    const label = svg("g", { "data-label": id });
    label.addEventListener("click", () => this.on.edge(id));
    return label;
  }

  newBox(key) {
    const element = button(svg("g", { "data-box": key }), () => this.on.box(key));
    element.addEventListener("focus", () => element.matches(":focus-visible") && this.point(key));
    element.addEventListener("blur", () => this.point(""));
    return element;
  }

  /** Scroll so that an edge can be seen. */
  bring(id) {
    this.labels.keyedChildren?.get(id)?.scrollIntoView({ inline: "center", block: "nearest" });
  }
}

function button(element, press) {
  set(element, { role: "button", tabindex: "0" });
  element.addEventListener("click", press);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    press();
  });
  return element;
}

/** How an edge stands to what is chosen: itself, a line of the chosen service, or neither. */
function kindOf(edge, selected, box) {
  if (edge.id === selected) return "selected";
  return box && (edge.from === box || edge.to === box) ? "near" : "";
}

function arrows() {
  const one = (name) => svg("marker", { id: `arrow-${name}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 11, markerHeight: 11, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse", class: name }, svg("path", { d: "M0 0.8 8 4 0 7.2z" }));
  return svg("defs", {}, ...["good", "some", "bad", "idle"].map(one));
}

// ---------------------------------------------------------------- edges

function drawEdge(element, { edge, line, kind, stop }, seen) {
  const health = healthOf(edge);
  const speed = edge.rps >= 10 ? "fast" : edge.rps >= 1 ? "steady" : "slow";
  set(element, {
    class: `edge ${health} ${speed} ${kind}`,
    tabindex: stop ? 0 : -1,
    "aria-label": edgeWords(edge, seen),
    "data-count": edge.live ? edge.count : 0,
    "data-rps": edge.live ? edge.rps : 0,
  });
  const [touch, wire, flow] = element.children;
  for (const path of [touch, wire, flow]) set(path, { d: line.path });
  set(wire, { "marker-end": `url(#arrow-${health})` });
}

function drawLabel(label, { edge, spot, texts, width, height, kind }) {
  const kept = ["focused", "pointed"].filter((name) => label.classList.contains(name));
  set(label, {
    class: ["label", healthOf(edge), kind, ...kept].filter(Boolean).join(" "),
    transform: `translate(${Math.round(spot.x)} ${Math.round(spot.y)})`,
  });
  const key = JSON.stringify([texts, width, edge.mtls_share]);
  if (label.dataset.shown === key) return;
  label.dataset.shown = key;
  label.replaceChildren();
  if (!texts.length) return;
  label.append(svg("rect", { x: -width / 2, y: -height / 2, width, height, rx: 6 }));
  texts.forEach((text, index) => {
    const y = -height / 2 + 4 + LABEL.line * (index + 0.78);
    const x = text.kind === "rate" && edge.mtls_share > 0 ? LOCK / 2 : 0;
    label.append(svg("text", { x, y, class: text.kind }, text.words));
  });
  if (edge.mtls_share > 0) label.append(lock(-width / 2 + 6, -height / 2 + 6, edge.mtls_share < 1));
}

/** A padlock; `open` where only a part is encrypted. */
export function lock(x, y, open) {
  const bow = open ? "M2 5V3.2a2.6 2.6 0 0 1 5 -0.8" : "M2 5V3a2.5 2.5 0 0 1 5 0V5";
  return svg("g", { class: open ? "lock part" : "lock", transform: `translate(${x} ${y})` }, svg("path", { d: bow }), svg("rect", { x: 0.8, y: 5, width: 7.4, height: 5.6, rx: 1.2 }));
}

// ---------------------------------------------------------------- boxes

/** Boxes with what is written in them. */
function worded({ boxes, edges }) {
  return { boxes: boxes.map((box) => ({ ...box, ...wordsOf(box) })), edges };
}

/** The name of a box and what it is, as people say it. */
export function wordsOf(box) {
  const outside = box.kind === "workload" && box.rows.length > 0 && box.rows.every((row) => !row.inMesh);
  const what = outside ? t("node.outside") : box.kind === "workload" ? "" : t(`node.${box.kind}`);
  const title = ["unknown", "nowhere"].includes(box.kind) ? t("unknown") : box.name;
  return { title, under: [box.namespace, what].filter(Boolean).join(" · "), outside };
}

function drawBox(element, box, place, selected) {
  const rows = box.rows.filter((row) => row.version);
  const kinds = ["box", box.kind, box.outside ? "outside" : "", box.key === selected ? "selected" : ""];
  const words = [box.title, box.under, ...rows.map((row) => row.version)].filter(Boolean).join(", ");
  set(element, { class: kinds.filter(Boolean).join(" "), "aria-label": words });
  element.style.transform = `translate(${place.x}px, ${place.y}px)`;
  const key = JSON.stringify([place.width, place.height, words]);
  if (element.dataset.shown === key) return;
  element.dataset.shown = key;
  const room = place.width - 2 * SIDE;
  element.replaceChildren(
    svg("rect", { class: "frame", width: place.width, height: place.height, rx: 10 }),
    svg("text", { class: "name", x: SIDE, y: 19 }, fit(box.title, NAME, room)),
    svg("text", { class: "under", x: SIDE, y: 34 }, fit(box.under, UNDER, room)),
    ...rows.map((row, index) => versionRow(row, index, rowOf(box), place.width)),
    svg("title", {}, words),
  );
}

function versionRow(row, index, height, width) {
  const group = svg("g", { class: "version", "data-node": row.id, transform: `translate(6 ${HEAD + index * height + 2})` });
  group.append(svg("rect", { width: width - 12, height: height - 4, rx: 6 }));
  const words = svg("text", { x: SIDE - 6, y: height / 2 + 2.5 });
  say(words, fit(row.version, NAME, width - 2 * SIDE));
  group.append(words);
  return group;
}

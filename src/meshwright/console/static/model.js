/** From the API's graph to boxes (one per app and namespace) with versions, and edges between them. */

const FORGET = 10 * 60 * 1000;
const HOST = /^([^.]+)\.([^.]+)\.svc(\.|$)/;

/**
 * What was seen lately. Boxes and edges stay for a while after their last traffic, so that the picture does not jump.
 */
export class Seen {
  constructor() {
    this.nodes = new Map();
    this.edges = new Map();
    this.homes = new Map(); // service host -> box of the workloads that answer for it
    this.window = 30;
  }

  /** Take in one graph of the API. */
  take(graph, now) {
    this.window = Math.round(graph.window_seconds);
    for (const node of graph.nodes) this.nodes.set(node.id, { ...node, seen: now });
    for (const edge of this.edges.values()) edge.live = false;
    for (const edge of graph.edges) this.edges.set(edge.id, { ...edge, live: edge.count > 0, seen: now });
    for (const edge of this.edges.values()) edge.nobody = this.isNobody(edge.destination);
    for (const [id, edge] of this.edges) if (now - edge.seen > FORGET) this.edges.delete(id);
    const used = new Set([...this.edges.values()].flatMap((edge) => [edge.source, edge.destination]));
    for (const id of this.nodes.keys()) if (!used.has(id)) this.nodes.delete(id);
    for (const edge of graph.edges) {
      const node = this.nodes.get(edge.destination);
      if (node && isHome(node, edge.service)) this.homes.set(edge.service, boxKey(node));
    }
  }

  /** Whether calls to this node reached no workload: a service of the mesh of which no workload is known. */
  isNobody(id) {
    const node = this.nodes.get(id);
    return node?.kind === "service" && HOST.test(node.name);
  }

  /** The key of the box that a node stands in. */
  boxOf(id) {
    const node = this.nodes.get(id);
    if (!node) return id;
    if (node.kind !== "service") return boxKey(node);
    const parts = HOST.exec(node.name);
    return this.homes.get(node.name) ?? (parts ? `${parts[2]}/${parts[1]}` : node.name);
  }

  /** @returns {{boxes: any[], edges: any[]}} sorted by key */
  picture() {
    const boxes = new Map();
    for (const node of this.nodes.values()) {
      const key = this.boxOf(node.id);
      const box = boxes.get(key) ?? emptyBox(key, node);
      boxes.set(key, box);
      if (node.kind === "service") continue; // its box is that of the workloads behind it, if one of them is known
      box.kind = node.kind === "unknown" && !node.namespace ? "nowhere" : node.kind;
      box.name = node.app || node.name;
      box.namespace = node.namespace === "unknown" ? "" : node.namespace;
      box.rows.push({ id: node.id, version: node.version, name: node.name, inMesh: node.in_mesh });
    }
    for (const box of boxes.values()) box.rows.sort((a, b) => compare(a.id, b.id));
    const edges = [...this.edges.values()].map((edge) => ({ ...edge, from: this.boxOf(edge.source), to: this.boxOf(edge.destination) }));
    for (const box of boxes.values()) if (box.rows.length > 1) box.rows = box.rows.map((row) => ({ ...row, version: row.version || row.name }));
    return { boxes: [...boxes.values()].sort((a, b) => compare(a.key, b.key)), edges: edges.sort((a, b) => compare(a.id, b.id)) };
  }

  /** How a person calls a node: "reviews v2". */
  nameOf(id, words) {
    const node = this.nodes.get(id);
    if (!node || node.kind === "unknown") return words;
    if (node.kind === "service") return HOST.exec(node.name)?.[1] ?? node.name;
    return [node.app || node.name, node.version].filter(Boolean).join(" ");
  }
}

/** Whether a service lives at a node. Behind a gateway there are also hosts that only pass through it. */
function isHome(node, service) {
  if (node.kind !== "gateway") return node.kind === "workload";
  return HOST.exec(service)?.[2] === node.namespace;
}

function boxKey(node) {
  return node.kind === "unknown" ? node.id : `${node.namespace}/${node.app || node.name}`;
}

function emptyBox(key, node) {
  const [namespace, name] = key.includes("/") ? key.split("/") : ["", key];
  const kind = node.kind !== "service" ? node.kind : HOST.test(node.name) ? "nobody" : "external";
  return { key, kind, name, namespace, rows: [] };
}

/** Order of texts, the same in every language. */
export function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

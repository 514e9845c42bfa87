/** One edge in words. */
import { ms, percent, rate, t } from "./i18n.js";

const MANY = 0.1;

/** How an edge's errors are shown: none, some, many. */
export function healthOf(edge) {
  if (!edge.live) return "idle";
  return edge.error_share >= MANY ? "bad" : edge.error_share > 0 ? "some" : "good";
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

/** The lines of an edge's label: `kind` names the style. */
export function labelTexts(edge) {
  if (!edge.live) return [];
  const words = t(edge.protocol === "tcp" ? "per.second.tcp" : "per.second", { rate: rate(edge.rps) });
  const texts = [{ kind: "rate", words }];
  if (edge.error_share > 0) texts.push({ kind: "errors", words: `▲ ${percent(edge.error_share)}` });
  if (edge.p95_ms !== null) texts.push({ kind: "times", words: `p95 ${ms(edge.p95_ms)}` });
  return texts;
}

/** The page's words in the chosen language. */
import { FLAGS } from "./flags.js";
import { WORDS } from "./words.js";

const KEPT = "meshwright-language";
export const LANGUAGES = ["en", "zh"];
let language = first();

function first() {
  const kept = localStorage.getItem(KEPT);
  if (kept && LANGUAGES.includes(kept)) return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** The language in use: en or zh. */
export function chosen() {
  return language;
}

/** Use another language from now on. */
export function choose(name) {
  language = LANGUAGES.includes(name) ? name : "en";
  localStorage.setItem(KEPT, language);
}

/** A text by its key, with {name} filled in. */
export function t(key, values = {}) {
  const pair = WORDS[key];
  if (!pair) throw new Error(`no words for ${key}`);
  return pair[LANGUAGES.indexOf(language)].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** A text by its key if there is one, else `other`. */
export function tOr(key, other) {
  return WORDS[key] ? t(key) : other;
}

/** Write all fixed texts of the document. */
export function writeFixed() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t(each.dataset.t);
  for (const each of document.querySelectorAll("[data-t-label]")) each.setAttribute("aria-label", t(each.dataset.tLabel));
}

/** Envoy's flags ("UF,URX") in words; "" for none. */
export function flagWords(flags) {
  if (!flags || flags === "-") return "";
  const column = LANGUAGES.indexOf(language);
  return flags.split(",").map((flag) => FLAGS[flag]?.[column] ?? flag).join(language === "zh" ? "；" : "; ");
}

/** Requests per second. */
export function rate(value) {
  const digits = value >= 100 ? 0 : value >= 1 ? 1 : 2;
  return value.toLocaleString(language, { minimumFractionDigits: 0, maximumFractionDigits: digits });
}

/** Milliseconds; – for unknown ones. */
export function ms(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 10000) return `${(value / 1000).toFixed(1)} s`;
  return `${value >= 100 ? Math.round(value) : value >= 10 ? value.toFixed(0) : value.toFixed(1)} ms`;
}

/** A share of 1 in per cent; never 0 % for something, never 100 % for less than all. */
export function percent(share) {
  if (share > 0 && share < 0.001) return "<0.1%";
  if (share < 1 && share > 0.999) return ">99.9%";
  const value = share * 100;
  return `${value >= 10 || value === 0 ? Math.round(value) === 100 && share < 1 ? value.toFixed(1) : Math.round(value) : value.toFixed(1)}%`;
}

/** The time of day of Unix milliseconds. */
export function clock(milliseconds, parts = false) {
  const date = new Date(milliseconds);
  const text = date.toLocaleTimeString(language === "zh" ? "zh-CN" : "en-GB", { hour12: false });
  return parts ? `${text}.${String(date.getMilliseconds()).padStart(3, "0")}` : text;
}

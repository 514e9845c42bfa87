/** The page's words in the chosen language. */
import { FLAGS } from "./flags.js";
import { SENTENCES } from "./sentences.js";
import { WORDS } from "./words.js";

const KEPT = "meshwright-language";
export const LANGUAGES = ["en", "zh"];
const LOCALES = { en: "en-GB", zh: "zh-CN" };
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
  return filled(pair[LANGUAGES.indexOf(language)], (name) => String(values[name]));
}

function filled(text, value) {
  return text.replace(/\{(\w+)\}/g, (_, name) => value(name));
}

/** Whether the page has a sentence of the mesh in its language. */
export function hasWords(said) {
  return language === "en" || Boolean(said && SENTENCES[said.key]);
}

/** A sentence of the mesh: `english` is finished, `said` has the key and values for another language. */
export function sentence(said, english) {
  return language === "en" || !hasWords(said) ? english : translated(said);
}

function translated(value) {
  if (Array.isArray(value)) return value.map(translated).join(t(value.some((each) => each.key) ? "joined" : "listed"));
  return value?.key ? filled(SENTENCES[value.key] ?? value.key, (name) => translated(value.values[name])) : String(value);
}

/** Why a call did not work, for people. What only the mesh can say in its own words is put behind ours. */
export function reasonOf(error) {
  if (!error.code) return t(error.name === "TimeoutError" ? "problem.late" : "problem.unreachable");
  if (hasWords(error.said)) return sentence(error.said, error.message);
  const key = `problem.${error.code}`;
  return WORDS[key] ? t(key, error) : t("problem.other", { code: error.code, detail: error.message });
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
  return flags.split(",").map((flag) => FLAGS[flag]?.[column] ?? flag).join(t("joined"));
}

/** Requests per second. */
export function rate(value) {
  const digits = value >= 100 ? 0 : value >= 1 ? 1 : 2;
  return value.toLocaleString(language, { minimumFractionDigits: 0, maximumFractionDigits: digits });
}

/** A duration from milliseconds, with its unit; – for unknown ones. */
export function ms(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.1) return "<0.1 ms";
  const seconds = value >= 999.5;
  const number = seconds ? value / 1000 : value;
  return `${number.toLocaleString(language, { maximumFractionDigits: number < 10 ? 1 : 0 })} ${seconds ? "s" : "ms"}`;
}

/** A share of 1 in per cent; never 0 % for something, never 100 % for less than all. */
export function percent(share) {
  if (share > 0 && share < 0.001) return "<0.1%";
  if (share < 1 && share > 0.999) return ">99.9%";
  const value = share * 100;
  return `${value >= 10 || value === 0 ? Math.round(value) === 100 && share < 1 ? value.toFixed(1) : Math.round(value) : value.toFixed(1)}%`;
}

/** The time of Unix milliseconds, local; with the day when it was not today. */
export function clock(milliseconds) {
  const date = new Date(milliseconds);
  const now = new Date();
  const day = date.toDateString() === now.toDateString() ? {} : { month: "short", day: "numeric" };
  const year = date.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
  return date.toLocaleString(LOCALES[language], { ...year, ...day, hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** The same in full, with its zone. */
export function fullTime(milliseconds) {
  return new Date(milliseconds).toLocaleString(LOCALES[language], { dateStyle: "full", timeStyle: "long", hour12: false });
}

/** Chinese first, English at a switch; the choice is kept in a cookie, which the API reads too. */

import { useValue, Value } from "../state/value";
import en from "./en.json";
import zh from "./zh.json";

export type Key = keyof typeof zh;
export type Language = "zh" | "en";

const CATALOGUES: Record<Language, Record<string, string>> = { zh, en };
const COOKIE = "wangge_lang";
const YEAR_S = 365 * 24 * 3600;

function remembered(): Language {
  return /(?:^|; )wangge_lang=en\b/.test(document.cookie) ? "en" : "zh";
}

export const language = new Value<Language>(remembered());

function show(next: Language): void {
  document.documentElement.lang = next === "zh" ? "zh-CN" : "en";
}

show(language.value);
language.listen(show);

export function switchLanguage(next: Language): void {
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is missing in Firefox before 140
  document.cookie = `${COOKIE}=${next}; path=/; max-age=${YEAR_S}; samesite=lax`;
  language.set(next);
}

/** A sentence of the catalogue with its `{parameters}` filled in. */
export function t(key: Key, params: Record<string, string | number> = {}): string {
  return fill(CATALOGUES[language.value][key] ?? key, params);
}

/** The word for a value of an enumeration, e.g. `word("status", "closed")`; a value unknown here shows as it is. */
export function word(group: string, value: string | null | undefined): string {
  if (!value) return "";
  return CATALOGUES[language.value][`${group}.${value}`] ?? value;
}

interface Names {
  name?: string | null;
  name_zh?: string | null;
  name_en?: string | null;
}

/** The name of a row in the language; Chinese where it has none in English. */
export const named = (row: Names | null | undefined): string =>
  (language.value === "en" && row?.name_en) || row?.name_zh || row?.name || "";

function fill(template: string, params: Record<string, string | number>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => (name in params ? String(params[name]) : whole));
}

export const useLanguage = (): Language => useValue(language);

const locale = () => (language.value === "zh" ? "zh-CN" : "en-GB");

/** Formats by what they are called: to make one takes a hundred times as long as to use it. */
const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(name: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${locale()} ${name}`;
  const known = formats.get(key) ?? new Intl.NumberFormat(locale(), options);
  formats.set(key, known);
  return known;
}

export const number = (value: number | null | undefined, digits = 0): string =>
  value === null || value === undefined
    ? "–"
    : numberFormat(String(digits), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);

export const percent = (ratio: number | null | undefined): string =>
  ratio === null || ratio === undefined
    ? "–"
    : numberFormat("%", { style: "percent", maximumFractionDigits: 1 }).format(ratio);

export const moment = (iso: string | null | undefined): string =>
  iso
    ? new Intl.DateTimeFormat(locale(), {
        month: "2-digit",
        day: "2-digit",
        hour: "2-digit",
        minute: "2-digit",
        hour12: false,
      }).format(new Date(iso))
    : "–";

export const day = (iso: string | null | undefined): string =>
  iso
    ? new Intl.DateTimeFormat(locale(), { year: "numeric", month: "2-digit", day: "2-digit" }).format(new Date(iso))
    : "–";

export const clock = (date: Date): string =>
  new Intl.DateTimeFormat(locale(), { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }).format(
    date,
  );

/** Searching: what was found, what was chosen of it, and what was chosen before. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, Problem } from "../api/client";
import type { Found, Place } from "../api/types";
import { address, addressed } from "./address";
import { Value } from "./value";

/** What somebody chose: the pages go there and show who answers for it. */
export const chosenFound = new Value<Found | null>(null);

const PAUSE_MS = 160;
const MOST = 12;
const LONGEST = 200;

export interface Searching {
  items: Found[] | null;
  failure: Problem | null;
  busy: boolean;
  again: () => void;
}

/** Without a letter, a character or a digit there is nothing to ask for. */
export const isSearchable = (words: string): boolean => /[\p{L}\p{N}]/u.test(words);

/** Where the map looks: of equals the nearer comes first. */
function near(): string | null {
  const [lon, lat] = (addressed("at") ?? "").split(",");
  return lon && lat ? `${lon},${lat}` : null;
}

const ask = (words: string, limit: number, signal?: AbortSignal): Promise<Found[]> =>
  get<{ items: Found[] }>("/api/v1/search", { q: words.slice(0, LONGEST), limit, near: near() }, signal).then(
    ({ items }) => items,
  );

/** Ask a moment after the last key, drop what comes too late; the former list stays until the next is there. */
export function useSearch(words: string): Searching {
  const [items, setItems] = useState<Found[] | null>(null);
  const [failure, setFailure] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const [turn, setTurn] = useState(0);
  const asked = useRef("");
  useEffect(() => {
    setFailure(null);
    if (!isSearchable(words)) {
      setItems(null);
      setBusy(false);
      asked.current = "";
      return;
    }
    const stop = new AbortController();
    setBusy(true);
    const timer = setTimeout(
      () => {
        asked.current = words;
        ask(words, MOST, stop.signal).then(
          (found) => {
            if (stop.signal.aborted) return;
            setItems(found);
            setBusy(false);
          },
          (reason: Error) => {
            if (stop.signal.aborted) return;
            setItems(null);
            setFailure(reason instanceof Problem ? reason : new Problem(-1, "bug", String(reason)));
            setBusy(false);
          },
        );
      },
      asked.current === "" ? PAUSE_MS / 4 : PAUSE_MS,
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [words, turn]);
  const again = useCallback(() => setTurn((n) => n + 1), []);
  return { items, failure, busy, again };
}

/** The words that lead to a thing again: its code, or for a room what was typed. */
export const wordsOf = (found: Found, typed: string): string =>
  found.unit || found.floor ? typed : (found.code ?? found.label);

export function choose(found: Found | null, typed = ""): void {
  chosenFound.set(found);
  address({ find: found ? wordsOf(found, typed) : null });
}

/** Open what the address bar asks for, once a page. */
export function openAddressed(): void {
  const words = addressed("find");
  if (words && isSearchable(words)) {
    ask(words, 1).then(
      ([first]) => first && chosenFound.set(first),
      () => undefined, // the link's view is open all the same
    );
  }
}

/** Where to look at a thing, and how wide. */
export const placeOf = (found: Found): Place | null =>
  found.lon === null || found.lat === null ? null : [found.lon, found.lat];

const KEY = "wangge.searches";
const KEPT = 6;

/** What was chosen last on this device; people are not kept, devices are shared. */
export function recentSearches(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.map(String).slice(0, KEPT) : [];
  } catch {
    return [];
  }
}

export function noteSearch(found: Found): void {
  if (found.kind === "staff") return;
  try {
    const others = recentSearches().filter((one) => one !== found.label);
    localStorage.setItem(KEY, JSON.stringify([found.label, ...others].slice(0, KEPT)));
  } catch {
    // Without a store the box simply begins empty.
  }
}

export function forgetSearches(): void {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Nothing was kept.
  }
}

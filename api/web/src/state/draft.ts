/**
 * A report begun but not sent, so that a reload or a dead battery in between loses nothing.
 *
 * Only category, place and the name of the wish are kept, and only for this tab: what a person writes may tell of
 * people, and stays out of the store of a phone that others may hold.
 */

import type { Place } from "../api/types";
import { requestId } from "./request_id";

export interface Draft {
  request_id: string;
  category: string | null;
  place: Place | null;
  accuracy_m: number | null;
  placed: boolean;
}

const KEY = "wangge.report";

export const newDraft = (): Draft => ({
  request_id: requestId(),
  category: null,
  place: null,
  accuracy_m: null,
  placed: false,
});

export function keptDraft(): Draft | null {
  try {
    const draft = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Draft | null;
    return draft?.request_id ? draft : null;
  } catch {
    return null;
  }
}

export function keepDraft(draft: Draft | null): void {
  try {
    if (draft) sessionStorage.setItem(KEY, JSON.stringify(draft));
    else sessionStorage.removeItem(KEY);
  } catch {
    // A browser that keeps nothing still reports; only a reload would lose the draft.
  }
}

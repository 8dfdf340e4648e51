/**
 * Edits that the server has not yet acknowledged, kept across reloads.
 *
 * Each tab keeps a list of its own under the plan and the person. A page that opens takes over what other tabs left:
 * the server does nothing twice for the same request, so two tabs may send the same edit.
 */

import type { Id } from "../api/types";
import { requestId } from "../state/request_id";
import type { Edit } from "./types";

export interface Unsent {
  request_id: string;
  /** The number of the last edit that the person saw when making this one. */
  base: number;
  act: "edits" | "undo" | "redo";
  edit: Edit | null;
}

const TAB = requestId();

const prefix = (user: string, plan: Id) => `wangge.desk.${user}.${plan}.`;

export class Outbox {
  private readonly key: string;

  constructor(
    private readonly user: string,
    private readonly plan: Id,
  ) {
    this.key = prefix(user, plan) + TAB;
  }

  keep(list: readonly Unsent[]): void {
    try {
      if (list.length > 0) localStorage.setItem(this.key, JSON.stringify(list));
      else localStorage.removeItem(this.key);
    } catch {
      // A browser that keeps nothing still sends; only a reload before the answer could lose the last stroke.
    }
  }

  /** All that is left over, oldest tab first; it is this tab's from now on. */
  take(): Unsent[] {
    const found: Unsent[] = [];
    try {
      for (const key of Object.keys(localStorage).sort()) {
        if (!key.startsWith(prefix(this.user, this.plan)) || key === this.key) continue;
        found.push(...(JSON.parse(localStorage.getItem(key) ?? "[]") as Unsent[]));
        localStorage.removeItem(key);
      }
    } catch {
      return found;
    }
    this.keep(found);
    return found;
  }
}

/** A plan on its way to the desk: the ground of one that was never there is surveyed first, which is long work. */

import { Problem } from "../api/client";
import type { Id } from "../api/types";
import { askView } from "./tables";
import type { DeskView } from "./types";

/** How far the survey of a plan's ground is. */
export interface Survey {
  state: "queued" | "running" | "done" | "failed";
  step: "reading" | "surveying" | "storing" | null;
  /** Of the whole work, 0 to 1. */
  share: number;
  /** Communities. */
  done: number;
  total: number;
  /** Null until it can be told. */
  seconds_left: number | null;
  error: { code: string; params: Record<string, unknown>; detail: string } | null;
}

export type Tell = (survey: Survey) => void;

/** Anything, or how far the survey is that it waits for. */
type Surveyed<T> = T | { survey: Survey };

const isWaiting = <T extends object>(found: Surveyed<T>): found is { survey: Survey } => "survey" in found;

const AGAIN_MS = 1000;
const BUSY_MS = 2000;
const BUSY_TRIES = 60;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * All that `/desk` says of a plan, as soon as there is ground under it.
 *
 * Rejects with the reason where the survey has failed; `survey` stands in the problem's body then.
 */
export async function openedView(plan: Id, signal?: AbortSignal, tell?: Tell): Promise<DeskView> {
  for (;;) {
    const found = await patiently(() => askView(plan, signal), signal);
    if (!isWaiting(found)) return found;
    const { survey } = found;
    if (survey.error) throw new Problem(202, survey.error.code, survey.error.detail, { survey });
    tell?.(survey);
    await pause(AGAIN_MS);
    signal?.throwIfAborted();
  }
}

/** The ground, asked for beside the view, and once more if there was none yet. */
export async function openedGround<T extends object>(asking: () => Promise<Surveyed<T>>, view: Promise<unknown>) {
  for (;;) {
    const found = await patiently(asking);
    if (!isWaiting(found)) return found;
    await view;
  }
}

/** Ask again while the database is busy with the same plan, or away. */
export async function patiently<T>(asking: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let left = BUSY_TRIES; ; left--) {
    try {
      return await asking();
    } catch (reason) {
      if (!isBusy(reason) || left === 0 || signal?.aborted) throw reason;
      await pause(BUSY_MS);
    }
  }
}

const isBusy = (reason: unknown) =>
  reason instanceof Problem && (reason.code === "database.busy" || reason.status === 503);

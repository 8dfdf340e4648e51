/** What is known of how a plan is decided on: its log and the remarks on it, asked again while the page is open. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { get, Problem } from "../../api/client";
import { language } from "../../i18n";
import { useValue } from "../../state/value";
import type { DeskState } from "../state";
import type { PlanLog, Thread } from "./types";

/** Steps of others show by themselves after this long, if the desk did not hear of them before. */
const AGAIN_MS = 5_000;

export interface Decision {
  log: PlanLog | null;
  threads: readonly Thread[];
  failure: Problem | null;
  /** Ask again; a log or threads that an act answered are taken as they are. */
  refresh: (known?: { log?: PlanLog; threads?: readonly Thread[] }) => Promise<void>;
}

export const addressOf = (desk: DeskState, end: string): string => `/api/v1/plans/${desk.plan.id}/${end}`;

export function useDecision(desk: DeskState): Decision {
  const [log, setLog] = useState<PlanLog | null>(null);
  const [threads, setThreads] = useState<readonly Thread[]>([]);
  const [failure, setFailure] = useState<Problem | null>(null);
  useValue(desk.revision);
  const refresh = useCallback<Decision["refresh"]>(
    async (known = {}) => {
      try {
        const [now, said] = await Promise.all([
          known.log ?? get<PlanLog>(addressOf(desk, "log")),
          known.threads ?? get<{ items: Thread[] }>(addressOf(desk, "comments")).then(({ items }) => items),
        ]);
        setLog(now);
        setThreads(said);
        setFailure(null);
        // What may be edited goes with the step.
        if (now.state !== desk.plan.state) await desk.reload();
      } catch (reason) {
        if (reason instanceof Problem) setFailure(reason);
      }
    },
    [desk],
  );
  useEffect(() => {
    const again = () => document.visibilityState === "visible" && void refresh();
    const timer = setInterval(again, AGAIN_MS);
    addEventListener("focus", again);
    return () => {
      clearInterval(timer);
      removeEventListener("focus", again);
    };
  }, [refresh]);
  useEffect(() => void refresh(), [refresh, desk.plan.state]);
  return { log, threads, failure, refresh };
}

/** Day and time; a plan's way may take months. */
export const when = (iso: string): string =>
  new Intl.DateTimeFormat(language.value === "zh" ? "zh-CN" : "en-GB", {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hour12: false,
  }).format(new Date(iso));

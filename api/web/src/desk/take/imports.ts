/** Divisions that are handed in: the upload, and what the server makes of it, whatever of the page is open. */

import { useEffect } from "preact/hooks";
import { get, type Problem, post, remove, sendFile } from "../../api/client";
import type { Id, RunState } from "../../api/types";
import { t } from "../../i18n";
import { done, failed } from "../../panels/notice";
import { Value } from "../../state/value";

const PATH = "/api/v1/imports";
const ASK_EVERY_MS = 1000;

export interface ImportRun {
  id: Id;
  state: RunState;
  step: "reading" | "checking" | "placing" | "dividing" | "storing" | null;
  progress_ratio: number;
  done: number;
  total: number;
  title: string;
  crs: string | null;
  file_name: string;
  plan_id: Id | null;
  summary: { communities: number; cells: number[]; buildings: number; households: number } | null;
  error: { code: string; detail: string; params: { reading?: string } } | null;
  cancel_requested: boolean;
  created_at: string;
}

/** A file on its way. */
export interface Sending {
  name: string;
  sent: number;
  total: number;
  stop: () => void;
}

export const sending = new Value<Sending | null>(null);
export const runs = new Value<readonly ImportRun[]>([]);
/** The import that somebody looks at: what becomes of it needs no other word. */
export const lookedAt = new Value<Id | null>(null);
export const isOpen = (run: ImportRun) => run.state === "queued" || run.state === "running";

let timer: ReturnType<typeof setTimeout> | undefined;

/** Ask how far they are, again and again while there is one that is not over. */
async function follow(): Promise<void> {
  clearTimeout(timer);
  try {
    take((await get<{ items: ImportRun[] }>(PATH)).items);
  } catch (reason) {
    if (!(reason as Problem).lostNetwork && (reason as Problem).status < 500) return;
  }
  clearTimeout(timer);
  if (runs.value.some(isOpen)) timer = setTimeout(follow, ASK_EVERY_MS);
}

function take(next: readonly ImportRun[]): void {
  const before = new Map(runs.value.map((run) => [run.id, run]));
  runs.set(next);
  for (const run of next) {
    const old = before.get(run.id);
    if (!old || !isOpen(old) || run.id === lookedAt.value) continue;
    if (run.state === "done") done(t("take.finished", { title: run.title }));
    if (run.state === "failed") failed(t("take.not_finished", { title: run.title }));
  }
}

/** Hear of one's imports while something shows them. */
export function useImports(): void {
  useEffect(() => void follow(), []);
}

/** Send a division; the number of its import, or `null` if the sender thought better of it. */
export async function handIn(form: FormData, file: File): Promise<Id | null> {
  const stopper = new AbortController();
  const stop = () => stopper.abort();
  sending.set({ name: file.name, sent: 0, total: file.size, stop });
  window.addEventListener("beforeunload", stay);
  try {
    const run = await sendFile<ImportRun>(PATH, form, stopper.signal, (sent, total) =>
      sending.set({ name: file.name, sent, total, stop }),
    );
    runs.set([run, ...runs.value]);
    void follow();
    return run.id;
  } catch (reason) {
    if ((reason as Error).name === "AbortError") return null;
    throw reason;
  } finally {
    window.removeEventListener("beforeunload", stay);
    sending.set(null);
  }
}

/** The browser asks before it leaves a page that is sending. */
const stay = (event: BeforeUnloadEvent) => event.preventDefault();

const act = (promise: Promise<unknown>) => promise.catch(failed).then(follow);
export const cancel = (run: ImportRun) => act(post(`${PATH}/${run.id}/cancel`));
export const forget = (run: ImportRun) => act(remove(`${PATH}/${run.id}`));

/** Have a file that is on the server already read otherwise. */
export async function again(run: ImportRun, crs: string, trust: boolean): Promise<void> {
  await post(`${PATH}/${run.id}/again`, { crs: crs || null, trust_crs: trust });
  await follow();
}

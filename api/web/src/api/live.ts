/**
 * Incidents as they happen: pushed by the server, and asked for every few seconds where the push does not come
 * through (a proxy that holds it back, a server that restarts).
 */

import { Value } from "../state/value";
import { toLogin } from "./client";
import type { IncidentFeature } from "./types";

export type LiveState = "connecting" | "live" | "polling" | "lost";

const STREAM = "/api/v1/incidents/stream";
const POLL_EVERY_MS = 8000;
const RETRY_MS = [1000, 2000, 5000, 10_000, 20_000];
/** A stream that has not opened by then is held back somewhere. */
const OPEN_WITHIN_MS = 6000;

interface Hearer {
  incident: (feature: IncidentFeature) => void;
  plan: () => void;
  /** Ask for the whole list again: after a gap, and while there is no push. Rejects when there is no network. */
  reload: () => Promise<void>;
}

export class Live {
  readonly state = new Value<LiveState>("connecting");
  readonly asOf = new Value<Date | null>(null);
  private source: EventSource | null = null;
  private failures = 0;
  private opening = 0;
  private retrying = 0;
  private polling = 0;
  private everOpened = false;

  constructor(private readonly hearer: Hearer) {
    this.connect();
  }

  close(): void {
    clearTimeout(this.opening);
    clearTimeout(this.retrying);
    clearInterval(this.polling);
    this.source?.close();
  }

  /** The list on the page is that of this moment. */
  fresh(): void {
    this.asOf.set(new Date());
  }

  private connect(): void {
    this.source?.close();
    const source = new EventSource(STREAM);
    this.source = source;
    clearTimeout(this.opening);
    this.opening = setTimeout(() => this.fallBack(), OPEN_WITHIN_MS);
    source.onopen = () => this.opened();
    source.onerror = () => this.broken();
    source.addEventListener("incident", (event) => {
      this.fresh();
      this.hearer.incident(JSON.parse((event as MessageEvent<string>).data));
    });
    source.addEventListener("resync", () => void this.hearer.reload().catch(() => undefined));
    source.addEventListener("signed_out", toLogin);
    source.addEventListener("plan", () => this.hearer.plan());
  }

  private opened(): void {
    clearTimeout(this.opening);
    clearInterval(this.polling);
    this.polling = 0;
    this.failures = 0;
    this.state.set("live");
    // What happened between two connections would be missing otherwise.
    if (this.everOpened) this.hearer.reload().catch(() => undefined);
    this.everOpened = true;
    this.fresh();
  }

  private broken(): void {
    this.source?.close();
    this.fallBack();
    clearTimeout(this.retrying);
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    this.retrying = setTimeout(() => this.connect(), wait);
  }

  private fallBack(): void {
    if (this.polling) return;
    this.poll();
    this.polling = setInterval(() => this.poll(), POLL_EVERY_MS);
  }

  private async poll(): Promise<void> {
    try {
      await this.hearer.reload();
      if (this.polling) this.state.set("polling");
      this.fresh();
    } catch {
      this.state.set("lost");
    }
  }
}

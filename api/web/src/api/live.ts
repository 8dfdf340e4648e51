/**
 * Incidents as they happen: pushed by the server, and asked for where the push does not come through (a proxy that
 * holds it back, a server that restarts). Both tell the same news by number, so nothing is missed between them.
 */

import { Value } from "../state/value";
import { get, toLogin } from "./client";
import type { IncidentFeature } from "./types";

export type LiveState = "connecting" | "live" | "polling" | "lost";

const STREAM = "/api/v1/incidents/stream";
const EVENTS = "/api/v1/incidents/events";
/** So long the server keeps a question open until there are news. */
const WAIT_S = 20;
/** Between two questions: a proxy may cut them short, and answers without news must not chase each other. */
const PAUSE_MS = 1000;
const RETRY_MS = [1000, 2000, 5000, 10_000, 20_000];
/** A stream that has not opened by then is held back somewhere. */
const OPEN_WITHIN_MS = 6000;

interface Hearer {
  incident: (feature: IncidentFeature) => void;
  plan: () => void;
  /**
   * Ask for the whole list again: where news were left out, or it is not known from which number on they are wanted.
   * Gives that number; rejects when there is no network.
   */
  reload: () => Promise<number | null>;
}

interface News {
  events: { id: number; event: string; data: IncidentFeature }[];
  last_event: number;
  resync: boolean;
}

export class Live {
  readonly state = new Value<LiveState>("connecting");
  readonly asOf = new Value<Date | null>(null);
  private source: EventSource | null = null;
  private failures = 0;
  private opening = 0;
  private retrying = 0;
  private asking: AbortController | null = null;
  private version: string | null = null;

  /** `last` is the number up to which the list on the page has everything. */
  constructor(
    private readonly hearer: Hearer,
    private last: number | null = null,
  ) {
    this.connect();
  }

  close(): void {
    clearTimeout(this.opening);
    clearTimeout(this.retrying);
    this.stopAsking();
    this.source?.close();
  }

  /** The list on the page is that of this moment, and has all news up to a number. */
  fresh(last: number | null = null): void {
    if (last !== null && (this.last === null || last > this.last)) this.last = last;
    this.asOf.set(new Date());
  }

  private connect(): void {
    this.source?.close();
    const isBlind = this.last === null;
    const source = new EventSource(this.last === null ? STREAM : `${STREAM}?since=${this.last}`);
    this.source = source;
    clearTimeout(this.opening);
    this.opening = setTimeout(() => this.fallBack(), OPEN_WITHIN_MS);
    const hear = (kind: string, heard: (data: string) => void) =>
      source.addEventListener(kind, (event) => {
        const message = event as MessageEvent<string>;
        if (message.lastEventId) this.last = Number(message.lastEventId);
        heard(message.data);
      });
    // Not "open": a proxy that holds back what follows opens the connection all the same.
    hear("ready", () => {
      this.opened();
      if (isBlind) this.reload().catch(() => undefined);
    });
    hear("incident", (data) => this.hear("incident", JSON.parse(data)));
    hear("plan", () => this.hearer.plan());
    hear("in_force", (data) => this.ruled(JSON.parse(data).version));
    hear("resync", () => void this.reload().catch(() => undefined));
    hear("signed_out", () => toLogin("ended"));
    source.onerror = () => this.broken();
  }

  private hear(kind: string, feature: IncidentFeature): void {
    if (kind === "incident") this.hearer.incident(feature);
    else this.hearer.plan();
    this.fresh();
  }

  /** What maps are drawn from has changed: told first when the stream opens, then whenever it does. */
  private ruled(version: string): void {
    const isAnother = this.version !== null && this.version !== version;
    this.version = version;
    if (isAnother) this.hearer.plan();
  }

  private opened(): void {
    clearTimeout(this.opening);
    this.stopAsking();
    this.failures = 0;
    this.state.set("live");
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

  private stopAsking(): void {
    this.asking?.abort();
    this.asking = null;
  }

  private fallBack(): void {
    if (this.asking) return;
    const asking = new AbortController();
    this.asking = asking;
    void this.askOn(asking.signal);
  }

  private async askOn(signal: AbortSignal): Promise<void> {
    let wait = 0;
    while (!signal.aborted) {
      try {
        await this.ask(wait, signal);
        if (signal.aborted) return;
        this.state.set("polling");
        wait = WAIT_S;
      } catch {
        if (signal.aborted) return;
        this.state.set("lost");
        wait = 0;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  private async ask(wait: number, signal: AbortSignal): Promise<void> {
    if (this.last === null) {
      await this.reload();
      return;
    }
    const news = await get<News>(EVENTS, { since: this.last, wait }, signal);
    if (news.resync) await this.reload();
    for (const { event, data } of news.events) this.hear(event, data);
    this.last = news.last_event;
    this.fresh();
  }

  private async reload(): Promise<void> {
    this.fresh(await this.hearer.reload());
  }
}

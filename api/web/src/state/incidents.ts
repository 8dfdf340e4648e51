/** The incidents that a page watches: one list, from which map, counters and rows are all made. */

import { all } from "../api/client";
import type { Id, IncidentFeature } from "../api/types";
import { ENDED } from "../map/colours";
import { Value } from "./value";

export type Span = "24h" | "7d" | "30d" | "all";

export const SPANS: readonly Span[] = ["24h", "7d", "30d", "all"];
const HOURS: Record<Span, number | null> = { "24h": 24, "7d": 7 * 24, "30d": 30 * 24, all: null };
const MOST = 5000;

export interface Filter {
  statuses: ReadonlySet<string>;
  category: string;
  words: string;
}

export const isOpen = (feature: IncidentFeature) => !ENDED.includes(feature.properties.status);

/** Take in a change: the newer of two states of an incident stays, newest reports first. */
export function merge(list: readonly IncidentFeature[], change: IncidentFeature): IncidentFeature[] {
  const known = list.find((feature) => feature.properties.id === change.properties.id);
  if (known && known.properties.last_seq > change.properties.last_seq) return [...list];
  const rest = list.filter((feature) => feature !== known);
  const at = rest.findIndex((feature) => feature.properties.reported_at <= change.properties.reported_at);
  rest.splice(at < 0 ? rest.length : at, 0, change);
  return rest;
}

export function matching(list: readonly IncidentFeature[], { category, words }: Omit<Filter, "statuses">) {
  const wanted = words.trim().toLowerCase();
  return list.filter(({ properties: p }) => {
    if (category && p.category !== category) return false;
    if (!wanted) return true;
    return [p.code, p.title, p.community_name, p.grid_code, p.building_name].join(" ").toLowerCase().includes(wanted);
  });
}

export class Watch {
  readonly list = new Value<IncidentFeature[] | null>(null);
  readonly total = new Value(0);
  /** Ids that came or changed while the page was open, newest last. */
  readonly arrived = new Value<Id[]>([]);
  span: Span = "7d";

  /** Gives the number of the last news that the list has. */
  async load(): Promise<number | null> {
    const hours = HOURS[this.span];
    const from = hours === null ? null : new Date(Date.now() - hours * 3_600_000).toISOString();
    const { rows, total, last_event } = await all<IncidentFeature>("/api/v1/incidents", { from }, MOST);
    this.list.set(rows);
    this.total.set(total);
    return last_event;
  }

  take(change: IncidentFeature): void {
    const before = this.list.value ?? [];
    if (!before.some((feature) => feature.properties.id === change.properties.id)) {
      this.arrived.set([...this.arrived.value.slice(-50), change.properties.id]);
      this.total.set(this.total.value + 1);
    }
    this.list.set(merge(before, change));
  }
}

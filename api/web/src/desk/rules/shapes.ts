/** Shapes of the rule sets' HTTP API, and a draft of a rule set as the panel edits it. */

import type { Area, Box, Id, Named } from "../../api/types";

export type TierKind = "area" | "grid" | "micro_grid";
export type CellOf = "band" | "parent" | "building";

export interface Post {
  code: string;
  name_zh: string;
  name_en: string;
  holders_min: number;
  /** As many as there are where it is null. */
  holders_max: number | null;
}

export interface RuleTier {
  kind: TierKind;
  cell_of: CellOf;
  name_zh: string;
  name_en: string;
  households_min: number | null;
  households_max: number | null;
  households_target: number | null;
  tolerance_ratio: number;
  code_digits: number;
  posts: Post[];
}

export interface Definition {
  code: string;
  name_zh: string;
  name_en: string;
  source: string;
  is_verified: boolean;
  keep_buildings_whole: boolean;
  weights: Record<string, number>;
  tiers: RuleTier[];
}

export interface RuleSetLine extends Named {
  id: Id;
  code: string;
  valid_from: string;
  valid_to: string | null;
  is_verified: boolean;
  area: Area;
}

export interface RuleSetInFull {
  id: Id;
  area: Area;
  valid_from: string;
  valid_to: string | null;
  plans: number;
  definition: Definition;
}

/** A term that the partitioner weighs, with its usual weights. */
export interface Term {
  code: string;
  grid: number;
  micro_grid: number;
}

export interface Fault {
  code: string;
  severity: "error" | "warning" | "note";
  field: string;
  text: string;
  remedy: string;
}

export interface Nesting {
  upper: number;
  lower: number;
  least: number;
  most: number;
}

export interface Checked {
  items: Fault[];
  may_store: boolean;
  nesting: Nesting[];
  slots: number | null;
}

export type State = "in_band" | "under" | "over";

export interface Sums extends Record<State, number> {
  low: number | null;
  high: number | null;
  tolerance: number;
}

export interface ChangedCell {
  id: Id;
  code: string;
  name: string | null;
  community: string;
  households: number;
  bbox: Box;
  was: State;
  becomes: State;
  excess: number;
}

export interface CommunityCount {
  id: Id;
  name: string;
  households: number;
  now: number;
  least: number | null;
  most: number | null;
  way: string | null;
}

export interface TierPreview extends Named {
  depth: number;
  cells: number;
  is_matched: boolean;
  was: Sums | null;
  becomes: Sums | null;
  changed: ChangedCell[];
  changed_count: number;
  counts: {
    now: number;
    least: number;
    most: number;
    none_fits: number;
    communities: CommunityCount[];
  } | null;
}

export interface PostNeed extends Named {
  code: string;
  tier_zh: string;
  tier_en: string;
  needed: number;
  least: number;
  most: number;
  places: number;
  people: number;
}

export interface Preview {
  plan: { id: Id; title: string } | null;
  communities: number;
  households: number;
  tiers: TierPreview[];
  unmatched: (Named & { depth: number; cells: number })[];
  posts: PostNeed[];
  ground?: GeoJSON.FeatureCollection;
}

export interface Stated {
  households: number | null;
  people: number | null;
  cells: (number | null)[];
}

export interface Draft {
  /** What it was copied from. */
  base: string;
  /** That of the plan, and that of the rules it was copied from. */
  areas: Area[];
  area_id: Id;
  definition: Definition;
  from: string;
  to: string;
  stated: Stated;
}

export const NOTHING_STATED: Stated = { households: null, people: null, cells: [] };

const pad = (value: number) => String(value).padStart(2, "0");

/** Tomorrow, as a date field writes it. */
export function tomorrow(): string {
  const day = new Date(Date.now() + 24 * 3600 * 1000);
  return `${day.getFullYear()}-${pad(day.getMonth() + 1)}-${pad(day.getDate())}`;
}

/** A rule set as the API gives it, without what the order of the tiers says. */
export function definitionOf(shown: Definition): Definition {
  const { code, name_zh, name_en, source, is_verified, keep_buildings_whole, weights } = shown;
  const tiers = shown.tiers.map(({ ordinal: _, ...tier }: RuleTier & { ordinal?: number }) => tier);
  return structuredClone({ code, name_zh, name_en, source, is_verified, keep_buildings_whole, weights, tiers });
}

/** The code of a version: that of its base with the day on which it begins. */
export function versionCode(base: string, from: string): string {
  const stem = base
    .toLowerCase()
    .replace(/-\d{8}$/, "")
    .replace(/[^a-z0-9_-]/g, "")
    .slice(0, 30);
  return `${stem || "rules"}-${from.replaceAll("-", "") || "0"}`;
}

/** A draft as the API takes it. */
export function asSent(draft: Draft): Definition {
  return { ...draft.definition, code: versionCode(draft.definition.code, draft.from) };
}

export function newTier(kind: TierKind): RuleTier {
  return {
    kind,
    cell_of: "band",
    name_zh: "",
    name_en: "",
    households_min: null,
    households_max: null,
    households_target: null,
    tolerance_ratio: 0,
    code_digits: kind === "micro_grid" ? 2 : 3,
    posts: [],
  };
}

/** A code for a post that none of the tier has yet. */
export function newPost(posts: readonly Post[]): Post {
  let n = posts.length + 1;
  while (posts.some((post) => post.code === `post_${n}`)) n += 1;
  return { code: `post_${n}`, name_zh: "", name_en: "", holders_min: 1, holders_max: 1 };
}

// A draft outlives a change of the tab and a reload of the page, not the window.

const shelf = (area: Id) => `wangge.rules.${area}`;

export function kept(area: Id): Draft | null {
  try {
    return JSON.parse(sessionStorage.getItem(shelf(area)) ?? "null") as Draft | null;
  } catch {
    return null;
  }
}

export function keep(area: Id, draft: Draft | null): void {
  try {
    if (draft) sessionStorage.setItem(shelf(area), JSON.stringify(draft));
    else sessionStorage.removeItem(shelf(area));
  } catch {
    // A full or forbidden store loses the draft at a reload, nothing else.
  }
}

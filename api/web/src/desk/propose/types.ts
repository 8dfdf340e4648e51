/** Shapes of proposals: a run, the divisions it gave, their cells. */

import type { Box, CellState, Id } from "../../api/types";

export type Scope = "broken" | "selected" | "all";

export interface ScoreTier {
  depth: number;
  name_zh: string;
  name_en: string;
  cells: number;
  passing: number | null;
  passing_ratio: number | null;
  in_band_ratio: number | null;
  households_min: number;
  households_mean: number;
  households_max: number;
  compactness_mean: number;
  compactness_min: number;
  not_contiguous: number;
}

/** What plans are compared by. */
export interface Scores {
  tiers: ScoreTier[];
  boundary_on_barriers_ratio: number | null;
  small_compounds: number;
  small_compounds_cut: number;
  principles: { code: string; name_zh: string; name_en: string; source: string; score: number | null }[];
}

export interface Told {
  code: string;
  key: string | null;
  text: string;
}

export interface ProposalRun {
  id: Id;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  scope: Scope;
  stability: number;
  alternatives: number;
  based_on_seq: number;
  done: number;
  total: number;
  message: string | null;
  error: { code: string; text: string } | null;
  cancel_requested: boolean;
  findings: Told[];
  before: Scores | null;
}

export interface TierMoves {
  depth: number;
  households_moved: number;
  buildings_moved: number;
  compounds_touched: number;
  residents_moved: number | null;
  cells_unchanged: number;
  cells_redrawn: number;
  cells_new: number;
  cells_ended: number;
}

export interface ProposalLine {
  id: Id;
  number: number;
  emphasis: { code: string; name_zh: string; name_en: string };
  scores: Scores;
  moves: TierMoves[];
  moved_households: number;
  cells_changed: number;
  cells_stale: number;
  groups: number;
  based_on_seq: number;
  findings: Told[];
  difference: number[];
}

export interface Broken {
  id: Id;
  code: string;
  depth: number;
  why: "under" | "over" | "pieces" | "unassigned";
}

export interface Proposals {
  run: ProposalRun | null;
  items: ProposalLine[];
  broken: Broken[];
}

export interface ProposedCell {
  id: Id;
  code: string;
  depth: number;
  parent: string | null;
  continues: Id | null;
  change: "same" | "changed" | "new";
  group: number;
  touches: Id[];
  stale: boolean;
  households: number;
  households_in: number;
  area_m2: number;
  band_state: CellState;
}

export interface Proposal extends ProposalLine {
  cells: {
    type: "FeatureCollection";
    features: (GeoJSON.Feature<GeoJSON.MultiPolygon, ProposedCell> & { bbox: Box })[];
  };
}

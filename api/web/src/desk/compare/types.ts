/** Shapes of a comparison of two plans. */

import type { Box, Id, PlanState } from "../../api/types";
import type { Scores, TierMoves } from "../propose/types";

export interface ComparedPlan {
  id: Id;
  title: string;
  state: PlanState;
  effective_from: string | null;
  document_no: string | null;
}

/** An old and a new cell with what they share; one of them is missing for what was built or pulled down. */
export interface LineageEdge {
  depth: number;
  old: string | null;
  new: string | null;
  kind: "keep" | "redraw" | "split" | "merge" | "transfer" | "built" | "gone";
  households: number;
  old_percent: number;
  new_percent: number;
  old_id: Id | null;
  new_id: Id | null;
}

export interface Person {
  name: string;
  post_name_zh: string;
  post_name_en: string | null;
}

export interface MovedPair {
  depth: number;
  from_cell: string;
  to_cell: string;
  households: number;
  buildings: number;
  residents: number | null;
  before: Person[];
  after: Person[];
}

export interface MovedIncident {
  id: Id;
  code: string;
  title: string;
  status: string;
  category_zh: string;
  category_en: string | null;
  lon: number;
  lat: number;
  from_cell: string | null;
  to_cell: string | null;
}

export interface MovedPost {
  staff_id: Id;
  name: string;
  post_zh: string;
  post_en: string | null;
  cell: string;
  depth: number;
  change: "ends" | "redrawn";
  to_cell: string | null;
  bbox: Box;
}

export interface Comparison {
  before: ComparedPlan;
  after: ComparedPlan;
  depth: number;
  tiers: (TierMoves & { name_zh: string; name_en: string; households: number; kept_ratio: number | null })[];
  lineage: LineageEdge[];
  people: MovedPair[];
  incidents: { open: number; count: number; items: MovedIncident[] };
  posts: { held: number; ends: number; redrawn: number; people: number; items: MovedPost[] };
}

export interface BothScores {
  before: Scores;
  after: Scores;
}

export interface MovedBuilding {
  id: Id;
  code: string;
  name: string | null;
  from_cell: string;
  to_cell: string;
  households: number;
  is_split: boolean;
}

export interface ComparedMap {
  depth: number;
  buildings: GeoJSON.FeatureCollection<GeoJSON.Geometry, MovedBuilding>;
  before: GeoJSON.FeatureCollection<GeoJSON.Geometry, { code: string }>;
  after: GeoJSON.FeatureCollection<GeoJSON.Geometry, { code: string }>;
}

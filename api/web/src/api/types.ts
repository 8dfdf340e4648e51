/** Shapes of the HTTP API, as far as the pages use them. */

export type Id = number;
export type Place = [lon: number, lat: number];
export type Box = [west: number, south: number, east: number, north: number];

export interface Paged<T> {
  items: T[];
  next: string | null;
  total: number;
}

export interface Features<P, G extends GeoJSON.Geometry = GeoJSON.Geometry> {
  type: "FeatureCollection";
  features: GeoJSON.Feature<G, P>[];
  next: string | null;
  total: number;
}

export interface Area {
  id: Id;
  code: string;
  name: string;
  name_en?: string | null;
  level?: string;
  parent_id?: Id | null;
  bbox?: Box | null;
  households?: number;
  buildings?: number;
}

export interface Session {
  user: {
    name: string;
    username: string;
    staff: { id: Id; name: string } | null;
    must_change_password: boolean;
  };
  grants: { role: string; area: Area | null }[];
  permissions: string[];
  home: string;
  extent: Box | null;
}

/** What has a name in both languages. */
export interface Named {
  name_zh: string;
  name_en: string | null;
}

export interface Tier extends Named {
  depth: number;
  kind: "area" | "grid" | "micro_grid";
  households_min: number | null;
  households_max: number | null;
}

export interface RuleSet extends Named {
  id: Id;
  area?: Area | null;
  tiers: Tier[];
}

export type RunState = "queued" | "running" | "done" | "failed" | "cancelled";

export interface Run {
  state: RunState;
  done: number;
  total: number;
  message: string | null;
}

export interface GeotagSummary {
  rows: number;
  none: number;
  reasons: Record<string, number>;
}

/** A table handed in to be geotagged. */
export interface GeotagRun {
  id: Id;
  state: RunState;
  file_name: string;
  result_name: string | null;
  progress_ratio: number;
  summary: GeotagSummary | null;
  error: { code: string; detail: string } | null;
  created_at: string;
}

export type PlanState =
  | "draft"
  | "submitted"
  | "reviewed"
  | "approved"
  | "future"
  | "in_force"
  | "superseded"
  | "discarded";

export interface Plan {
  id: Id;
  title: string;
  state: PlanState;
  area: Area;
  rule_set: RuleSet;
  communities: Area[];
  document_no: string | null;
  /** The plan that it was begun from. */
  based_on_id: Id | null;
  effective_from: string | null;
  published_at: string | null;
  created_at: string | null;
  run: Run | null;
  bbox: Box | null;
}

export type CellState = "in_band" | "under" | "over" | "empty" | "unbounded";

export interface Cell {
  id: Id;
  code: string;
  name: string | null;
  depth: number;
  parent_id: Id | null;
  community_id: Id;
  community_name?: string;
  households: number;
  residents: number | null;
  buildings?: number;
  area_m2: number | null;
  state: CellState;
  color_index: number;
  label?: Place;
  bbox?: Box;
}

export interface Person {
  post: string;
  post_name_zh: string;
  post_name_en: string | null;
  staff_id: Id;
  name: string;
  phone: string | null;
  place_name: string | null;
}

export interface GridDetail extends Cell {
  people: Person[];
  open_incidents: Pick<Incident, "id" | "title" | "status">[];
}

export interface TierStatistics {
  depth: number;
  name_zh: string;
  name_en: string;
  cells: number;
  in_band_ratio: number | null;
  households_min: number | null;
  households_mean: number | null;
  households_max: number | null;
  households_min_allowed?: number | null;
  households_max_allowed?: number | null;
  histogram: [from: number, to: number, cells: number][];
}

export interface Statistics {
  tiers: TierStatistics[];
  /** The ground as the partitioner measured it; null where it did not. */
  gap_m2: number | null;
  overlap_m2: number | null;
  not_contiguous: number | null;
}

export interface Violation {
  code: string;
  severity: "violation" | "rejected" | "repaired" | "note";
  depth: number | null;
  cell_id: Id | null;
  cell_code: string | null;
  text: string;
  bbox: Box | null;
}

export interface PublishPreview {
  effective_from: string;
  communities: number;
  cells: number;
  cells_kept: number;
  replaces: { plan_id: Id; title: string; communities: number }[];
  incidents_rehomed: number;
  posts_moved: number;
  posts_lost: number;
}

export interface Building {
  id: Id;
  code: string;
  name: string | null;
  address: string | null;
  floors: number | null;
  households: number | null;
  use: string;
  compound_name?: string | null;
  micro_grid_code?: string | null;
  grid_code?: string | null;
  lon: number;
  lat: number;
  distance_m?: number;
}

export interface Category extends Named {
  code: string;
  board?: string | null;
  department?: string | null;
}

export interface Department {
  id?: Id;
  code: string;
  name: string;
  name_en?: string | null;
}

export interface Staff {
  id: Id;
  name: string;
  phone: string | null;
  posts: Named[];
  department_name: string | null;
}

export interface Incident {
  id: Id;
  code: string;
  status: string;
  severity: number;
  category: string;
  category_name: string;
  category_name_en: string | null;
  title: string;
  description?: string | null;
  reported_at: string;
  due_at?: string | null;
  closed_at?: string | null;
  grid_id?: Id | null;
  grid_code?: string | null;
  grid_name?: string | null;
  community_id?: Id | null;
  community_name?: string | null;
  compound_name?: string | null;
  building_name?: string | null;
  lead_department?: Department | null;
  assignee?: { id: Id; name: string } | null;
  last_seq: number;
}

export type IncidentFeature = GeoJSON.Feature<GeoJSON.Point, Incident>;

export interface LogEntry {
  seq: number;
  action: string;
  from_status: string | null;
  to_status: string | null;
  occurred_at: string;
  actor: string | null;
  note: string | null;
}

export interface IncidentDetail extends Incident {
  people: Person[];
  log: LogEntry[];
  allowed_actions: string[];
}

/** One thing that a search found; see `GET /api/v1/search`. */
export interface Found {
  kind: "building" | "compound" | "community" | "area" | "grid" | "micro_grid" | "road" | "place" | "poi" | "staff";
  id: Id;
  code: string | null;
  label: string;
  marks: [from: number, to: number][];
  detail: string | null;
  detail_marks?: [from: number, to: number][];
  how: string;
  lon: number | null;
  lat: number | null;
  bbox: Box | null;
  depth?: number;
  unit?: number | null;
  floor?: number | null;
  room?: string | null;
  grid?: CellRef | null;
  micro_grid?: CellRef | null;
  candidates?: { grid: CellRef | null; micro_grid: CellRef | null; people: Person[] }[];
  people?: Person[];
  flags?: string[];
}

/** A cell as an answer names it. */
export interface CellRef {
  id: Id;
  code: string;
  name: string | null;
  floor_from?: number | null;
  floor_to?: number | null;
}

export interface GeotagAnswer {
  how: "inside" | "nearest" | "border" | "none";
  distance_m: number | null;
  community: Area | null;
  grid: CellRef | null;
  micro_grid: CellRef | null;
  candidates: { grid: CellRef | null; micro_grid: CellRef | null; people: Person[] }[];
  people: Person[];
  flags: string[];
}

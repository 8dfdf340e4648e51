/** Shapes of the desk's HTTP API: a draft's cells, its ground in faces and edges, edits and what they changed. */

import type { Area, Box, CellState, Id, Named, Place, Plan } from "../api/types";

export interface DeskTier extends Named {
  depth: number;
  kind: "grid" | "micro_grid";
  low: number | null;
  high: number | null;
  tolerance: number;
  target: number | null;
}

export interface DeskCell {
  id: Id;
  depth: number;
  parent: Id | null;
  community: Id;
  code: string;
  name: string | null;
  dedicated: boolean;
  locked: boolean;
  households: number;
  buildings: number;
  residents: number | null;
  area_m2: number;
  perimeter_m: number;
  pieces: number;
  band_state: CellState;
  floor_from: number | null;
  floor_to: number | null;
  /** How many persons are responsible for it. */
  people: number;
  open_incidents: number;
  bbox: Box;
}

export interface DeskBuilding {
  id: Id;
  code: string;
  name: string | null;
  households: number;
  compound: Id | null;
  use: string;
  floors: number | null;
  units: number | null;
  lon: number;
  lat: number;
  locked: boolean;
}

export interface DeskCompound {
  id: Id;
  code: string;
  name: string;
  households: number;
  bbox: Box;
}

export interface DeskCommunity extends Area {
  bbox: Box;
  ground_m2: number;
}

/** A whole building, its staircases or a band of its floors: what lies in one lowest cell. */
export interface DeskPart {
  id: Id;
  building: Id;
  unit_from: number | null;
  unit_to: number | null;
  floor_from: number | null;
  floor_to: number | null;
  households: number;
  cell: Id | null;
}

export interface Step {
  can: boolean;
  summary: Summary | null;
}

export interface Summary {
  code: string;
  /** The sentence in the reader's language. */
  text?: string;
  params: Record<string, string | number>;
}

export interface DeskView {
  plan: Plan;
  seq: number;
  may_edit: boolean;
  /** The last import that this was read after. */
  town: number;
  locked_all?: boolean;
  undo: Step;
  redo: Step;
  tiers: DeskTier[];
  cells: DeskCell[];
  buildings: DeskBuilding[];
  compounds: DeskCompound[];
  parts: DeskPart[];
  communities: DeskCommunity[];
  /** The number of the ground that all this lies on. */
  ground: number;
  /** The cells of faces that no part stands on. */
  land: [face: Id, cell: Id | null][];
}

export interface FaceProperties {
  id?: Id;
  building: Id | null;
  cell: Id | null;
  parts: Id[];
  /** The staircases whose ground it is; null for all. */
  unit_from: number | null;
  unit_to: number | null;
  area_m2: number;
}

export interface EdgeProperties {
  id?: Id;
  a: Id;
  /** −1 at the outline of a community. */
  b: Id;
  length_m: number;
  barrier: 0 | 1 | 2 | 3 | 4;
  crossable: boolean;
}

export type Face = GeoJSON.Feature<GeoJSON.Polygon | GeoJSON.MultiPolygon, FaceProperties>;
export type Edge = GeoJSON.Feature<GeoJSON.LineString | GeoJSON.MultiLineString, EdgeProperties>;

/** An edit as a person means it; the server compiles each to the same primitive. */
export type Edit =
  | { kind: "move"; parts?: Id[]; faces?: Id[]; compound?: Id; building?: Id; to: Id }
  | { kind: "new"; parts: Id[]; faces: Id[]; parent?: Id }
  | { kind: "reparent"; cells: Id[]; to: Id }
  | { kind: "merge"; cells: Id[]; into: Id }
  | { kind: "split"; cell: Id; n: number }
  | { kind: "cut"; cell: Id; line: Place[] }
  | { kind: "reshape"; cell: Id; ring: Place[] }
  | { kind: "break"; building: Id; by: "units" | "floors"; cuts: number[] }
  | { kind: "join"; building: Id }
  | { kind: "lock" | "unlock"; cells?: Id[]; buildings?: Id[]; all?: boolean }
  | { kind: "dedicate"; cell: Id; is_dedicated: boolean }
  | { kind: "rename"; cell: Id; name: string }
  | { kind: "batch"; edits: Edit[] }
  | { kind: "accept"; proposal: Id; cells?: Id[] }
  | { kind: "take_up" };

export interface GroundChange {
  removed_faces: Id[];
  faces: Face[];
  removed_edges: Id[];
  edges: Edge[];
}

/** What one edit did: everything a page needs to go on from `seq − 1`. */
export interface Change {
  seq: number;
  at: string;
  actor: string | null;
  kind: string;
  summary: Summary;
  undoes: number | null;
  /** Those that got ground by it: new ones that an import brought. */
  buildings: DeskBuilding[];
  compounds: DeskCompound[];
  cells: DeskCell[];
  removed_cells: Id[];
  parts: DeskPart[];
  removed_parts: Id[];
  locked_buildings: Record<string, boolean>;
  locked_all?: boolean;
  land: [face: Id, cell: Id][];
  ground: GroundChange | null;
  undo: Step;
  redo: Step;
}

export interface Changes {
  seq: number;
  /** The state of the plan: told at once when somebody takes a step with it. */
  status?: string;
  /** The last import: a later one than the page's may have brought buildings. */
  town?: number;
  /** The plan was made anew, so that changes do not tell all. */
  is_gap?: boolean;
  changes: Change[];
}

export interface Check {
  code: string;
  severity: "violation" | "rejected" | "repaired" | "note" | "error" | "warning" | "info";
  cell_id: Id | null;
  building_id: Id | null;
  compound_id: Id | null;
  bbox: Box | null;
  lon: number | null;
  lat: number | null;
  params: Record<string, string | number>;
  text: string;
}

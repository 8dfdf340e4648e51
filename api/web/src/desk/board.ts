/**
 * A draft in the browser: faces, edges, parts and cells, and the figures of a cell, computed anew for touched ones only.
 *
 * Parts lie in lowest cells; the face of a building follows its parts (of a stack it lies in several cells), a face of
 * land has a cell of its own. Cells above gather their children. What the server says replaces what was computed here.
 */

import type { Box, CellState, Id, Place } from "../api/types";
import { add, push } from "./gathering";
import { type BoardEdge, BoardFace, type Ground, lineOf } from "./ground";
import { BoxIndex, boxOf, distanceTo, isInside, joined, type Plane, planeAt } from "./plane";
import type {
  Change,
  DeskBuilding,
  DeskCell,
  DeskCommunity,
  DeskCompound,
  DeskPart,
  DeskTier,
  DeskView,
  Edge,
  Face,
  GroundChange,
} from "./types";

/** New values by id; `null` for a cell takes it away. An inverse patch brings the old values back. */
export interface Patch {
  parts: Map<Id, Id | null>;
  land: Map<Id, Id | null>;
  cells: Map<Id, DeskCell | null>;
  locked: Map<Id, boolean>;
}

export const emptyPatch = (): Patch => ({ parts: new Map(), land: new Map(), cells: new Map(), locked: new Map() });

export interface Before {
  before: DeskCell;
  /** Null where the change takes the cell away. */
  after: DeskCell | null;
}

const SQUARE_DEGREES = 0.002;
const TAU4 = 4 * Math.PI;

/** Polsby-Popper: 1 for a circle, towards 0 for a thread. */
export const compactness = (cell: DeskCell): number =>
  cell.perimeter_m > 0 ? Math.min(1, (TAU4 * cell.area_m2) / cell.perimeter_m ** 2) : 0;

export class Board {
  readonly faces = new Map<Id, BoardFace>();
  readonly edges = new Map<Id, BoardEdge>();
  readonly parts = new Map<Id, DeskPart>();
  readonly cells = new Map<Id, DeskCell>();
  readonly buildings = new Map<Id, DeskBuilding>();
  readonly lockedBuildings = new Set<Id>();
  readonly compounds: Map<Id, DeskCompound>;
  readonly communities: Map<Id, DeskCommunity>;
  readonly tiers: DeskTier[];
  readonly lowest: number;
  readonly plane: Plane;
  private readonly homeless = new Set<Id>();
  private readonly partsOfBuilding = new Map<Id, Set<Id>>();
  private readonly buildingsOfCompound = new Map<Id, Id[]>();
  private readonly groundOfBuilding = new Map<Id, Set<BoardFace>>();
  private readonly partsOfCell = new Map<Id, Set<Id>>();
  private readonly landOfCell = new Map<Id, Set<BoardFace>>();
  private readonly childrenOf = new Map<Id, Set<Id>>();
  private readonly index = new BoxIndex<BoardFace>(SQUARE_DEGREES);

  constructor(view: DeskView, ground: Ground) {
    this.tiers = view.tiers;
    this.lowest = Math.max(0, ...view.tiers.map((tier) => tier.depth));
    for (const building of view.buildings) this.keepBuilding(building);
    this.communities = new Map(view.communities.map((community) => [community.id, community]));
    this.compounds = new Map(view.compounds.map((compound) => [compound.id, compound]));
    this.plane = planeAt(view.plan.bbox ? (view.plan.bbox[1] + view.plan.bbox[3]) / 2 : (view.buildings[0]?.lat ?? 0));
    for (const { id, compound } of view.buildings) {
      if (compound !== null) push(this.buildingsOfCompound, compound, id);
    }
    for (const cell of view.cells) this.putCell(cell);
    for (const part of view.parts) this.putPart(part);
    for (const face of ground.faces) this.addFace(face);
    for (const edge of ground.edges) this.edges.set(edge.id, edge);
    for (const id of this.buildings.keys()) this.rehome(id);
    for (const [id, cell] of view.land) {
      const face = this.faces.get(id);
      if (face) this.putLand(face, cell);
    }
  }

  // What lies where

  buildingParts(building: Id): Id[] {
    return [...(this.partsOfBuilding.get(building) ?? [])];
  }

  compoundBuildings(compound: Id): Id[] {
    return this.buildingsOfCompound.get(compound) ?? [];
  }

  children(cell: Id): Id[] {
    return [...(this.childrenOf.get(cell) ?? [])];
  }

  cellsAt(depth: number): DeskCell[] {
    return [...this.cells.values()].filter((cell) => cell.depth === depth);
  }

  /** The cells of the lowest tier in `cell`: itself, or those below it. */
  *lowestOf(cell: Id): Iterable<Id> {
    const children = this.childrenOf.get(cell);
    if (!children || children.size === 0) {
      yield cell;
      return;
    }
    for (const child of children) yield* this.lowestOf(child);
  }

  /** The lowest cells that a face lies in; several where cells are stacked on it. */
  cellsOf(face: BoardFace): Id[] {
    const found: Id[] = [];
    for (const id of face.parts) {
      const cell = this.parts.get(id)?.cell ?? null;
      if (cell !== null && !found.includes(cell)) found.push(cell);
    }
    if (found.length === 0 && face.land !== null) found.push(face.land);
    return found.length > 1 ? found.sort((a, b) => a - b) : found;
  }

  /** The cells of `depth` that a face lies in; several where they are stacked on it. */
  homesAt(face: BoardFace, depth: number): Id[] {
    const found: Id[] = [];
    for (const cell of this.cellsOf(face)) {
      const home = this.above(cell, depth);
      if (home !== null && !found.includes(home)) found.push(home);
    }
    return found;
  }

  above(cell: Id | null, depth: number): Id | null {
    let at = cell;
    while (at !== null) {
      const found = this.cells.get(at);
      if (!found) return null;
      if (found.depth <= depth) return found.depth === depth ? at : null;
      at = found.parent;
    }
    return null;
  }

  /** The cell of `depth` that a face is drawn in: of a stack the one with the lowest number. */
  cellAt(face: BoardFace, depth: number): Id | null {
    let least: Id | null = null;
    for (const id of face.parts) {
      const cell = this.parts.get(id)?.cell ?? null;
      if (cell !== null && (least === null || cell < least)) least = cell;
    }
    return this.above(least ?? face.land, depth);
  }

  facesOf(cell: Id): Set<BoardFace> {
    const found = new Set<BoardFace>();
    for (const low of this.lowestOf(cell)) {
      for (const part of this.partsOfCell.get(low) ?? []) {
        for (const face of this.groundOf(part)) found.add(face);
      }
      for (const face of this.landOfCell.get(low) ?? []) if (this.isLand(face)) found.add(face);
    }
    return found;
  }

  /** The faces that a part stands on. */
  private *groundOf(part: Id): Iterable<BoardFace> {
    const building = this.parts.get(part)?.building;
    for (const face of (building !== undefined && this.groundOfBuilding.get(building)) || []) {
      if (face.parts.includes(part)) yield face;
    }
  }

  partsIn(cell: Id): Id[] {
    return [...this.lowestOf(cell)].flatMap((low) => [...(this.partsOfCell.get(low) ?? [])]);
  }

  facesOfBuilding(building: Id): BoardFace[] {
    return [...(this.groundOfBuilding.get(building) ?? [])];
  }

  /** Buildings that lie in no cell. */
  unplaced(): Id[] {
    return [...this.homeless].filter((id) => (this.parts.get(-id)?.cell ?? null) === null);
  }

  /** What an import brought since the ground was surveyed: new buildings, and whole ones with other counts. */
  arrived(): { fresh: DeskBuilding[]; recounted: number } {
    const fresh: DeskBuilding[] = [];
    let recounted = 0;
    for (const building of this.buildings.values()) {
      const [only, ...more] = this.partsOfBuilding.get(building.id) ?? [];
      if (only === undefined && !this.groundOfBuilding.get(building.id)?.size) fresh.push(building);
      const part = only === undefined || more.length > 0 ? undefined : this.parts.get(only);
      if (part && part.cell !== null && part.households !== building.households) recounted += 1;
    }
    return { fresh, recounted };
  }

  /** Whether it lies where its ground lies: land, and the ground of a building that is in no cell yet. */
  isLand(face: BoardFace): boolean {
    return face.parts.every((id) => this.parts.get(id)?.cell == null);
  }

  /** Households and buildings on faces, those counted that are in no cell yet. */
  livingOn(faces: Iterable<BoardFace>): { households: number; buildings: number } {
    const parts = new Set([...faces].flatMap((face) => face.parts));
    const buildings = new Set<Id>();
    let households = 0;
    for (const id of parts) {
      const part = this.parts.get(id);
      if (!part) continue;
      households += part.households;
      buildings.add(part.building);
    }
    return { households, buildings: buildings.size };
  }

  faceAt(place: Place): BoardFace | null {
    const [x, y] = place;
    for (const face of this.index.within([x, y, x, y])) if (isInside(place, face.rings)) return face;
    return null;
  }

  /** The lines of faces that meet a box. */
  linesIn(box: Box): Set<BoardEdge> {
    const found = new Set<BoardEdge>();
    for (const face of this.index.within(box)) for (const edge of face.edges) found.add(edge);
    return found;
  }

  /** Faces nearer to `place` than `metres`. */
  facesNear(place: Place, metres: number): BoardFace[] {
    const [dx, dy] = [metres / this.plane.east, metres / this.plane.north];
    const near = this.index.within([place[0] - dx, place[1] - dy, place[0] + dx, place[1] + dy]);
    return [...near].filter((face) => distanceTo(this.plane, place, face.rings) <= metres);
  }

  /** Faces that lie in a drawn ring: a building's by where it stands, others by their middle. */
  facesInRing(ring: Place[]): BoardFace[] {
    return [...this.index.within(boxOf([ring]))].filter((face) => isInside(this.pointOf(face), [ring]));
  }

  private pointOf(face: BoardFace): Place {
    const building = face.building === null ? undefined : this.buildings.get(face.building);
    return building && face.unit_from === null ? [building.lon, building.lat] : face.middle;
  }

  /** Neighbours of a cell among the cells of its tier, with the metres of border. */
  neighbours(cell: Id): Map<Id, number> {
    const depth = this.cells.get(cell)?.depth ?? this.lowest;
    const own = this.facesOf(cell);
    const found = new Map<Id, number>();
    for (const face of own) {
      for (const edge of face.edges) {
        const other = edge.a === face ? edge.b : edge.a;
        if (!other || own.has(other)) continue;
        const neighbour = this.cellAt(other, depth);
        if (neighbour !== null) found.set(neighbour, (found.get(neighbour) ?? 0) + edge.length_m);
      }
    }
    return found;
  }

  tier(depth: number): DeskTier | undefined {
    return this.tiers.find((tier) => tier.depth === depth);
  }

  bandState(depth: number, households: number, dedicated: boolean): CellState {
    const tier = this.tier(depth);
    if (!tier || dedicated || (tier.low === null && tier.high === null)) return "unbounded";
    if (households < (tier.low ?? 0)) return "under";
    return tier.high !== null && households > tier.high ? "over" : "in_band";
  }

  // Figures

  /** The figures of a cell as it stands now; `cell` itself where nothing lies in it and nothing is known of its ground. */
  private figures(cell: DeskCell): DeskCell {
    const faces = this.facesOf(cell.id);
    let [households, area_m2, perimeter_m] = [0, 0, 0];
    const buildings = new Set<Id>();
    for (const id of this.partsIn(cell.id)) {
      const part = this.parts.get(id)!;
      households += part.households;
      buildings.add(part.building);
    }
    let bbox: Box | null = null;
    for (const face of faces) {
      area_m2 += face.area_m2;
      bbox = bbox ? joined(bbox, face.box) : face.box;
      for (const edge of face.edges) {
        const other = edge.a === face ? edge.b : edge.a;
        if (!other || !faces.has(other)) perimeter_m += edge.length_m;
      }
    }
    return {
      ...cell,
      households,
      buildings: buildings.size,
      area_m2,
      perimeter_m,
      pieces: pieces(faces),
      band_state: this.bandState(cell.depth, households, cell.dedicated),
      bbox: bbox ?? cell.bbox,
    };
  }

  /** These cells and all above them. */
  private withAbove(cells: Iterable<Id>): Set<Id> {
    const found = new Set<Id>();
    for (const start of cells) {
      let at: Id | null = start;
      while (at !== null && !found.has(at)) {
        found.add(at);
        at = this.cells.get(at)?.parent ?? null;
      }
    }
    return found;
  }

  // Changes made here

  /**
   * Make a change and compute the touched cells anew.
   *
   * Returns the patch that undoes it to the last figure.
   */
  assign(patch: Patch): Patch {
    const inverse = emptyPatch();
    const touched = new Set<Id>();
    const keep = (id: Id) => {
      if (!inverse.cells.has(id)) inverse.cells.set(id, this.cells.get(id) ?? null);
    };
    for (const [id, cell] of patch.cells) {
      if (!cell) continue;
      for (const up of this.withAbove([id])) keep(up);
      touched.add(id);
      const old = this.cells.get(id);
      if (old?.parent) touched.add(old.parent);
      this.putCell(cell);
    }
    this.assignGround(patch, inverse, touched);
    for (const [id, cell] of patch.cells) {
      if (cell) continue;
      for (const up of this.withAbove([id])) keep(up);
      const parent = this.cells.get(id)?.parent;
      if (parent) touched.add(parent);
      this.dropCell(id);
    }
    for (const [building, locked] of patch.locked) {
      const found = this.buildings.get(building);
      if (!found) continue;
      inverse.locked.set(building, found.locked);
      this.keepBuilding({ ...found, locked });
    }
    for (const id of this.withAbove(touched)) {
      const cell = this.cells.get(id);
      if (!cell) continue;
      keep(id);
      this.cells.set(id, this.figures(cell));
    }
    return inverse;
  }

  private assignGround(patch: Patch, inverse: Patch, touched: Set<Id>): void {
    for (const [id, cell] of patch.parts) {
      const part = this.parts.get(id);
      if (!part || part.cell === cell) continue;
      inverse.parts.set(id, part.cell);
      if (part.cell !== null) touched.add(part.cell);
      if (cell !== null) touched.add(cell);
      this.putPart({ ...part, cell });
    }
    for (const [id, cell] of patch.land) {
      const face = this.faces.get(id);
      if (!face || face.land === cell) continue;
      inverse.land.set(id, face.land);
      if (face.land !== null) touched.add(face.land);
      if (cell !== null) touched.add(cell);
      this.putLand(face, cell);
    }
  }

  /** Bring back what an inverse patch holds, without computing anything. */
  revert(inverse: Patch): void {
    for (const cell of inverse.cells.values()) if (cell) this.putCell(cell);
    for (const [id, cell] of inverse.parts) {
      const part = this.parts.get(id);
      if (part) this.putPart({ ...part, cell });
    }
    for (const [id, cell] of inverse.land) {
      const face = this.faces.get(id);
      if (face) this.putLand(face, cell);
    }
    for (const [id, cell] of inverse.cells) if (!cell) this.dropCell(id);
    for (const [id, locked] of inverse.locked) {
      const building = this.buildings.get(id);
      if (building) this.keepBuilding({ ...building, locked });
    }
  }

  /** What a change would make of the cells it touches; nothing is kept. */
  preview(patch: Patch): Before[] {
    const inverse = this.assign(patch);
    const found: Before[] = [];
    for (const [id, before] of inverse.cells) if (before) found.push({ before, after: this.cells.get(id) ?? null });
    this.revert(inverse);
    return found;
  }

  // Changes told by the server

  /** Take over what the server says; returns the cells that are different now, and those of their ground. */
  apply(change: Change): Set<Id> {
    const touched = new Set<Id>([...change.cells.map((cell) => cell.id), ...change.removed_cells]);
    for (const compound of change.compounds ?? []) this.compounds.set(compound.id, compound);
    for (const building of change.buildings ?? []) this.putBuilding(building);
    const other = new Set<Id>((change.buildings ?? []).map(({ id }) => id));
    for (const id of change.ground?.removed_faces ?? []) {
      const building = this.faces.get(id)?.building ?? null;
      if (building !== null) other.add(building);
    }
    if (change.ground) this.dropGround(change.ground);
    for (const cell of change.cells) this.putCell(cell);
    for (const id of change.removed_parts) {
      const part = this.parts.get(id);
      if (part) other.add(part.building);
      this.dropPart(id);
    }
    for (const part of change.parts) {
      if (!this.parts.has(part.id)) other.add(part.building);
      this.putPart(part);
    }
    if (change.ground) {
      for (const face of change.ground.faces) this.putFace(face);
      for (const edge of change.ground.edges) this.putEdge(edge);
    }
    for (const building of other) this.rehome(building);
    for (const [id, cell] of change.land) {
      const face = this.faces.get(id);
      if (face) this.putLand(face, cell);
    }
    for (const id of change.removed_cells) this.dropCell(id);
    for (const [id, locked] of Object.entries(change.locked_buildings)) {
      const building = this.buildings.get(Number(id));
      if (building) this.keepBuilding({ ...building, locked });
    }
    return touched;
  }

  private dropGround(ground: GroundChange): void {
    for (const id of ground.removed_edges) this.dropEdge(id);
    for (const id of ground.removed_faces) this.dropFace(id);
  }

  // One row

  private putCell(cell: DeskCell): void {
    const old = this.cells.get(cell.id);
    if (old?.parent && old.parent !== cell.parent) this.childrenOf.get(old.parent)?.delete(cell.id);
    if (cell.parent !== null) add(this.childrenOf, cell.parent, cell.id);
    this.cells.set(cell.id, cell);
  }

  private dropCell(id: Id): void {
    const old = this.cells.get(id);
    if (old?.parent) this.childrenOf.get(old.parent)?.delete(id);
    this.cells.delete(id);
  }

  private putPart(part: DeskPart): void {
    const old = this.parts.get(part.id);
    if (old?.cell != null) this.partsOfCell.get(old.cell)?.delete(part.id);
    this.parts.set(part.id, part);
    add(this.partsOfBuilding, part.building, part.id);
    if (part.cell !== null) add(this.partsOfCell, part.cell, part.id);
  }

  private putBuilding(building: DeskBuilding): void {
    const { id, compound } = building;
    if (!this.buildings.has(id) && compound !== null) push(this.buildingsOfCompound, compound, id);
    this.keepBuilding(building);
  }

  private keepBuilding(building: DeskBuilding): void {
    this.buildings.set(building.id, building);
    if (building.locked) this.lockedBuildings.add(building.id);
    else this.lockedBuildings.delete(building.id);
  }

  /** A building in no cell yet is one part without a cell, under a number of this page's own. */
  private putUnplaced({ id, households }: DeskBuilding): void {
    const whole = { unit_from: null, unit_to: null, floor_from: null, floor_to: null };
    this.putPart({ ...whole, id: -id, building: id, households, cell: null });
  }

  /** The faces of a building carry the parts that it has now: those of the staircases whose ground they are. */
  private rehome(building: Id): void {
    const faces = this.facesOfBuilding(building);
    const known = this.buildings.get(building);
    const isPlaced = this.buildingParts(building).some((id) => id > 0);
    if (isPlaced) this.homeless.delete(building);
    else this.homeless.add(building);
    if (isPlaced || faces.length === 0) this.dropPart(-building);
    else if (known) this.putUnplaced(known);
    const parts = this.buildingParts(building).map((id) => this.parts.get(id)!);
    for (const face of faces) {
      const on = parts.filter((part) => isOn(part, face.unit_from, face.unit_to));
      face.parts = on.map(({ id }) => id).sort((a, b) => a - b);
    }
  }

  private dropPart(id: Id): void {
    const old = this.parts.get(id);
    if (!old) return;
    if (old.cell !== null) this.partsOfCell.get(old.cell)?.delete(id);
    this.partsOfBuilding.get(old.building)?.delete(id);
    this.parts.delete(id);
  }

  private putFace(feature: Face): void {
    const face = BoardFace.of(feature);
    const old = this.faces.get(face.id);
    if (old) this.dropFace(face.id);
    face.edges = old?.edges ?? [];
    for (const edge of face.edges) {
      if (edge.a === old) edge.a = face;
      if (edge.b === old) edge.b = face;
    }
    this.addFace(face);
  }

  private addFace(face: BoardFace): void {
    this.faces.set(face.id, face);
    this.index.add(face);
    if (face.building !== null) add(this.groundOfBuilding, face.building, face);
    this.putLand(face, face.land);
  }

  private dropFace(id: Id): void {
    const face = this.faces.get(id);
    if (!face) return;
    this.index.remove(face);
    if (face.land !== null) this.landOfCell.get(face.land)?.delete(face);
    if (face.building !== null) this.groundOfBuilding.get(face.building)?.delete(face);
    this.faces.delete(id);
  }

  private putLand(face: BoardFace, cell: Id | null): void {
    if (face.land !== null) this.landOfCell.get(face.land)?.delete(face);
    face.land = cell;
    if (cell !== null) add(this.landOfCell, cell, face);
  }

  private putEdge(feature: Edge): void {
    const id = Number(feature.id ?? feature.properties.id);
    this.dropEdge(id);
    const { a, b, length_m, barrier, crossable } = feature.properties;
    const [one, two] = [this.faces.get(a), b < 0 ? null : this.faces.get(b)];
    if (!one || two === undefined) return;
    const edge: BoardEdge = { id, a: one, b: two, length_m, barrier, crossable, ...lineOf(feature.geometry) };
    this.edges.set(id, edge);
    one.edges.push(edge);
    two?.edges.push(edge);
  }

  private dropEdge(id: Id): void {
    const edge = this.edges.get(id);
    if (!edge) return;
    for (const face of [edge.a, edge.b]) if (face) face.edges = face.edges.filter((one) => one !== edge);
    this.edges.delete(id);
  }
}

const isOn = (part: DeskPart, from: number | null, to: number | null): boolean =>
  from === null ||
  part.unit_from === null ||
  (from <= (part.unit_to ?? part.unit_from) && part.unit_from <= (to ?? from));

/** How many pieces faces form that share borders. */
function pieces(faces: ReadonlySet<BoardFace>): number {
  const left = new Set(faces);
  let count = 0;
  for (const start of faces) {
    if (!left.delete(start)) continue;
    count += 1;
    const open = [start];
    for (let face = open.pop(); face; face = open.pop()) {
      for (const edge of face.edges) {
        const other = edge.a === face ? edge.b : edge.a;
        if (other && left.delete(other)) open.push(other);
      }
    }
  }
  return count;
}

/** The hand on the map: brush, lasso, line and freehand border, with what they would do shown before they do it. */

import type { GeoJSONSource } from "maplibre-gl";
import type { Id, Place } from "../api/types";
import { EMPTY, type TownMap } from "../map/town_map";
import { Value } from "../state/value";
import type { Before } from "./board";
import type { BoardFace } from "./ground";
import type { DeskLayers } from "./layers";
import { isFree, isUnplaced, moveFaces, redrawn, reshaped, wholeCompounds } from "./moves";
import { outlineOf } from "./outlines";
import { boxOf, isInside, simpler } from "./plane";
import { predict } from "./predict";
import type { DeskState, Tool } from "./state";
import type { Edit } from "./types";

export interface Brush {
  /** Pixels on the screen. */
  radius: number;
  whole: boolean;
  land: boolean;
}

export const BRUSH_SIZES = [4, 14, 28, 52] as const;

/** What lies under the pointer, and what a change begun with it would make of the cells. */
export interface Preview {
  face: BoardFace | null;
  cell: Id | null;
  households: number;
  buildings: number;
  changes: Before[];
}

const DRAWN: ReadonlySet<Tool> = new Set(["paint", "lasso", "cut", "reshape"]);
const CURSORS: Record<Tool, string> = {
  select: "",
  pick: "cell",
  paint: "none",
  lasso: "crosshair",
  cut: "crosshair",
  reshape: "crosshair",
};
const SHORTEST_PX = 12;
const SMOOTH_PX = 1.5;
const EARTH_PX_M = 78271.517; // metres a pixel at zoom 0 on tiles of 512

export class Hand {
  readonly brush = new Value<Brush>({ radius: BRUSH_SIZES[1], whole: false, land: true });
  readonly preview = new Value<Preview | null>(null);
  private stroke: Place[] = [];
  private painted = new Set<BoardFace>();
  private target: Id | null = null;
  /** The outer ring of the cell whose border is drawn anew. */
  private outline: GeoJSON.Position[] | null = null;
  private pointer: number | null = null;
  private fingers = new Set<number>();
  private spaced = false;
  private frame = 0;
  private at: Place | null = null;
  private readonly stop = new AbortController();

  constructor(
    private readonly map: TownMap,
    private readonly desk: DeskState,
    private readonly layers: DeskLayers,
    private readonly act: (edit: Edit) => void,
  ) {
    map.addSource("desk-hand", { type: "geojson", data: EMPTY });
    map.addLayer({
      id: "desk-hand-fill",
      type: "fill",
      source: "desk-hand",
      filter: ["==", ["geometry-type"], "Polygon"],
      paint: { "fill-color": "#c2321f", "fill-opacity": 0.08 },
    });
    map.addLayer({
      id: "desk-hand-line",
      type: "line",
      source: "desk-hand",
      layout: { "line-join": "round", "line-cap": "round" },
      paint: { "line-color": "#c2321f", "line-width": 2.5 },
    });
    map.boxZoom.disable();
    map.doubleClickZoom.disable();
    this.listen();
    desk.tool.listen(() => this.settle());
    this.settle();
  }

  close(): void {
    this.stop.abort();
    cancelAnimationFrame(this.frame);
  }

  private listen(): void {
    const canvas = this.map.getCanvasContainer();
    const { signal } = this.stop;
    canvas.addEventListener("pointerdown", (event) => this.down(event), { signal });
    canvas.addEventListener("pointermove", (event) => this.move(event), { signal });
    addEventListener("pointerup", (event) => this.up(event), { signal });
    addEventListener("pointercancel", (event) => this.lift(event), { signal });
    canvas.addEventListener("pointerleave", () => this.leave(), { signal });
    addEventListener("keydown", (event) => this.space(event, true), { signal });
    addEventListener("keyup", (event) => this.space(event, false), { signal });
    this.map.on("click", (event) => {
      if (!this.draws) this.click([event.lngLat.lng, event.lngLat.lat], event.originalEvent);
    });
    this.map.on("contextmenu", (event) => {
      if (this.stroke.length === 0) this.take([event.lngLat.lng, event.lngLat.lat]);
    });
    this.map.on("dblclick", (event) => this.open([event.lngLat.lng, event.lngLat.lat]));
  }

  /** While the space bar is down the map is moved instead of drawn on. */
  private space(event: KeyboardEvent, down: boolean): void {
    if (event.key !== " " || (event.target as HTMLElement).closest?.("input, textarea, select, button, tr, dialog"))
      return;
    this.spaced = down;
    this.settle();
  }

  /** The cell that grows under the brush: the one that is selected, else (null) the one that a stroke begins in. */
  get active(): Id | null {
    const { cells } = this.desk.selection.value;
    return cells.length === 1 && this.desk.board.cells.has(cells[0]) ? cells[0] : null;
  }

  private get draws(): boolean {
    return DRAWN.has(this.desk.tool.value) && this.desk.mayEdit && !this.spaced;
  }

  private settle(): void {
    if (this.draws) this.map.dragPan.disable();
    else this.map.dragPan.enable();
    this.map.getCanvas().style.cursor = this.spaced ? "grab" : CURSORS[this.desk.tool.value];
    this.cancel();
  }

  /** Let a stroke go without doing anything; true when there was one. */
  cancel(): boolean {
    const had = this.stroke.length > 0;
    this.pointer = null;
    this.stroke = [];
    this.painted = new Set();
    this.outline = null;
    this.layers.mark("stroke", new Set(), { colour: "", opacity: 0 });
    this.layers.mark("leaving", new Set(), { colour: "", opacity: 0 });
    this.show(null);
    if (had) this.preview.set(null);
    return had;
  }

  // Pointer

  private placeOf(event: PointerEvent): Place {
    const box = this.map.getCanvas().getBoundingClientRect();
    const { lng, lat } = this.map.unproject([event.clientX - box.left, event.clientY - box.top]);
    return [lng, lat];
  }

  private down(event: PointerEvent): void {
    if (event.isPrimary) this.fingers.clear(); // a lift that nobody told of must not count for ever
    this.fingers.add(event.pointerId);
    if (this.fingers.size > 1) {
      this.cancel(); // two fingers move the map
      this.map.dragPan.enable();
      return;
    }
    if (!this.draws || event.button !== 0) return;
    event.preventDefault();
    this.pointer = event.pointerId;
    const place = this.placeOf(event);
    this.stroke = [place];
    if (this.desk.tool.value === "paint") {
      const under = this.desk.board.faceAt(place);
      const given = this.active;
      this.target = given ?? (under ? this.desk.board.cellAt(under, this.desk.depth.value) : null);
      this.dab(place);
    } else if (this.desk.tool.value === "reshape") {
      this.target = this.chosenOr(place);
      if (this.target !== null) this.outline = outlineOf(this.desk.board, this.target).coordinates[0]?.[0] ?? null;
    }
  }

  private move(event: PointerEvent): void {
    const place = this.placeOf(event);
    this.at = place;
    if (this.pointer === event.pointerId && this.stroke.length > 0) {
      const before = this.stroke[this.stroke.length - 1];
      this.stroke.push(place);
      if (this.desk.tool.value === "paint") this.sweep(before, place);
    }
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.look());
  }

  private up(event: PointerEvent): void {
    this.lower(event);
    if (this.pointer !== event.pointerId) return;
    const { stroke, painted, target, outline } = this;
    const tool = this.desk.tool.value;
    this.cancel();
    if (tool === "paint") this.finishPaint(painted, target);
    else if (this.pixels(stroke) < SHORTEST_PX) this.click(stroke[0], event);
    else if (tool === "lasso") this.finishLasso(stroke, event.shiftKey);
    else if (tool === "cut") this.finishCut(this.smooth(stroke));
    else if (tool === "reshape" && target !== null && outline) this.finishReshape(target, outline, this.smooth(stroke));
  }

  private lift(event: PointerEvent): void {
    this.lower(event);
    if (this.pointer === event.pointerId) this.cancel();
  }

  /** A finger less; after the last of several the hand draws again. */
  private lower(event: PointerEvent): void {
    const had = this.fingers.size;
    this.fingers.delete(event.pointerId);
    if (had > 0 && this.fingers.size === 0 && this.draws) this.map.dragPan.disable();
  }

  private leave(): void {
    this.at = null;
    if (this.pointer === null) {
      this.show(null);
      this.preview.set(null);
    }
  }

  private pixels(line: readonly Place[]): number {
    const box = boxOf([line as Place[]]);
    const [a, b] = [this.map.project([box[0], box[1]]), this.map.project([box[2], box[3]])];
    return Math.hypot(a.x - b.x, a.y - b.y);
  }

  private get metresPerPixel(): number {
    const { lat } = this.map.getCenter();
    return (EARTH_PX_M * Math.cos((lat * Math.PI) / 180)) / 2 ** this.map.getZoom();
  }

  private smooth(line: readonly Place[]): Place[] {
    return simpler(this.desk.board.plane, line, SMOOTH_PX * this.metresPerPixel);
  }

  // Click: select and pick

  private click(place: Place, event: { shiftKey: boolean; ctrlKey?: boolean; metaKey?: boolean }): void {
    const { desk } = this;
    const face = desk.board.faceAt(place);
    const more = event.shiftKey || event.ctrlKey || event.metaKey || false;
    if (desk.tool.value === "paint") return;
    if (desk.tool.value === "pick") {
      if (face) this.pick(face, more);
      else if (!more) desk.select([]);
      return;
    }
    const cell = face ? desk.board.cellAt(face, desk.depth.value) : null;
    const { cells } = desk.selection.value;
    if (cell === null) {
      if (!more) desk.select([]);
    } else if (!more) desk.select([cell]);
    else desk.select(cells.includes(cell) ? cells.filter((id) => id !== cell) : [...cells, cell]);
  }

  private pick(face: BoardFace, more: boolean): void {
    const { desk } = this;
    const whole = this.brush.value.whole ? wholeCompounds(desk.board, [face]) : new Set([face]);
    const ids = [...whole].map(({ id }) => id);
    const { cells, faces } = desk.selection.value;
    if (!more) desk.select(cells, ids);
    else if (faces.includes(face.id))
      desk.select(
        cells,
        faces.filter((id) => !ids.includes(id)),
      );
    else desk.select(cells, [...new Set([...faces, ...ids])]);
  }

  /** The other button takes the cell below it, to paint with. */
  private take(place: Place): void {
    const face = this.desk.board.faceAt(place);
    const cell = face && this.desk.board.cellAt(face, this.desk.depth.value);
    if (cell !== null) this.desk.select([cell]);
  }

  /** A double click opens a cell: the building below the pointer is picked. */
  private open(place: Place): void {
    const face = this.desk.tool.value === "select" ? this.desk.board.faceAt(place) : null;
    if (face) this.pick(face, false);
  }

  // Brush

  private sweep(from: Place, to: Place): void {
    const metres = Math.max(1, this.brush.value.radius * this.metresPerPixel);
    const { plane } = this.desk.board;
    const way = Math.hypot((to[0] - from[0]) * plane.east, (to[1] - from[1]) * plane.north);
    const steps = Math.min(64, Math.max(1, Math.ceil(way / metres)));
    for (let i = 1; i <= steps; i++) {
      this.dab([from[0] + ((to[0] - from[0]) * i) / steps, from[1] + ((to[1] - from[1]) * i) / steps]);
    }
  }

  private under(place: Place): Set<BoardFace> {
    const { board } = this.desk;
    const { radius, whole, land } = this.brush.value;
    const small = radius <= BRUSH_SIZES[0];
    const one = small ? board.faceAt(place) : null;
    const found = small ? (one ? [one] : []) : board.facesNear(place, radius * this.metresPerPixel);
    const wanted = found.filter((face) => land || face.building !== null || found.length === 1);
    return whole ? wholeCompounds(board, wanted) : new Set(wanted);
  }

  private takes(face: BoardFace, target: Id): boolean {
    const { board } = this.desk;
    if (!isFree(board, face)) return false;
    const depth = board.cells.get(target)?.depth ?? this.desk.depth.value;
    const cells = board.cellsOf(face);
    const own = board.cells.get(target)?.community;
    if (cells.some((cell) => board.cells.get(cell)?.community !== own)) return false;
    return cells.length === 0 || isUnplaced(board, face) || cells.some((cell) => board.above(cell, depth) !== target);
  }

  private dab(place: Place): void {
    const { target } = this;
    if (target === null) return;
    const before = this.painted.size;
    for (const face of this.under(place)) if (this.takes(face, target)) this.painted.add(face);
    if (this.painted.size > before) {
      const ids = new Set([...this.painted].map(({ id }) => id));
      this.layers.mark("stroke", ids, { colour: this.layers.fillOf(target), opacity: 0.85 });
    }
  }

  private finishPaint(painted: ReadonlySet<BoardFace>, target: Id | null): void {
    if (target === null || painted.size === 0) return;
    const edit = moveFaces(this.desk.board, painted, target);
    if (edit) this.act(edit);
  }

  // Lasso, line, border

  private finishLasso(ring: Place[], more: boolean): void {
    const { desk } = this;
    const { land } = this.brush.value;
    const found = desk.board.facesInRing(ring).filter((face) => land || face.building !== null);
    const whole = this.brush.value.whole ? wholeCompounds(desk.board, found) : found;
    const ids = [...whole].map(({ id }) => id);
    const { cells, faces } = desk.selection.value;
    desk.select(cells, more ? [...new Set([...faces, ...ids])] : ids);
  }

  private finishCut(line: Place[]): void {
    const cell = this.chosenOr(line[Math.floor(line.length / 2)]);
    if (cell !== null) this.act({ kind: "cut", cell, line });
  }

  private finishReshape(cell: Id, outline: GeoJSON.Position[], stroke: Place[]): void {
    this.act({ kind: "reshape", cell, ring: redrawn(this.desk.board.plane, outline, stroke) });
  }

  /** The one cell that is selected, else the one at a place. */
  private chosenOr(place: Place): Id | null {
    const { cells } = this.desk.selection.value;
    if (cells.length === 1) return cells[0];
    const face = this.desk.board.faceAt(place);
    return face ? this.desk.board.cellAt(face, this.desk.depth.value) : null;
  }

  // Looking ahead

  private look(): void {
    this.frame = 0;
    const { at } = this;
    if (!at) return;
    const tool = this.desk.tool.value;
    this.show(this.drawn(tool, at));
    this.preview.set(this.ahead(tool, at));
  }

  private drawn(tool: Tool, at: Place): GeoJSON.Geometry | null {
    if (tool === "paint" && this.draws) return this.ring(at);
    if (this.stroke.length < 2) return null;
    if (tool === "lasso") return { type: "Polygon", coordinates: [[...this.stroke, this.stroke[0]]] };
    return { type: "LineString", coordinates: this.stroke };
  }

  private ring(at: Place): GeoJSON.Polygon {
    const metres = this.brush.value.radius * this.metresPerPixel;
    const { plane } = this.desk.board;
    const points = Array.from({ length: 33 }, (_, i) => {
      const angle = (i / 32) * 2 * Math.PI;
      return [at[0] + (Math.cos(angle) * metres) / plane.east, at[1] + (Math.sin(angle) * metres) / plane.north];
    });
    return { type: "Polygon", coordinates: [points] };
  }

  private ahead(tool: Tool, at: Place): Preview {
    const { board, depth } = this.desk;
    const face = board.faceAt(at);
    const cell = face ? board.cellAt(face, depth.value) : null;
    const none: Preview = { face, cell, households: 0, buildings: 0, changes: [] };
    if (tool === "cut" && this.stroke.length > 1) return this.aheadCut(none);
    if (tool === "reshape" && this.stroke.length > 1) return this.aheadReshape(none);
    if (tool !== "paint" || !this.desk.mayEdit) return none;
    const isPainting = this.stroke.length > 0;
    const target = isPainting ? this.target : this.active;
    if (target === null || !board.cells.has(target)) return none;
    const faces = isPainting ? this.painted : new Set([...this.under(at)].filter((one) => this.takes(one, target)));
    if (!isPainting) {
      const ids = new Set([...faces].map(({ id }) => id));
      this.layers.mark("stroke", ids, { colour: this.layers.fillOf(target), opacity: 0.5 });
    }
    return this.weigh(none, faces, target);
  }

  /** The buildings that come and go with the border drawn so far, in the colour of the cell, and in white. */
  private aheadReshape(none: Preview): Preview {
    const { board } = this.desk;
    const { target, outline } = this;
    if (target === null || !outline || this.pixels(this.stroke) < SHORTEST_PX) return none;
    const { come, leave, edit } = reshaped(board, target, redrawn(board.plane, outline, this.smooth(this.stroke)));
    const ids = (faces: ReadonlySet<BoardFace>) => new Set([...faces].map(({ id }) => id));
    this.layers.mark("leaving", new Set(), { colour: "", opacity: 0 });
    this.layers.mark("stroke", ids(come), { colour: this.layers.fillOf(target), opacity: 0.85 });
    this.layers.mark("leaving", ids(leave), { colour: "#ffffff", opacity: 0.8 });
    return this.foresee(none, edit);
  }

  private weigh(none: Preview, faces: ReadonlySet<BoardFace>, target: Id): Preview {
    return this.foresee(none, faces.size > 0 ? moveFaces(this.desk.board, faces, target) : null);
  }

  private foresee(none: Preview, edit: Edit | null): Preview {
    const { board } = this.desk;
    const patch = edit && predict(board, edit, () => -1);
    if (!patch) return none;
    let households = 0;
    const buildings = new Set<Id>();
    for (const id of patch.parts.keys()) {
      const part = board.parts.get(id)!;
      households += part.households;
      buildings.add(part.building);
    }
    const changes = board.preview(patch).filter(({ before }) => before.depth === this.desk.depth.value);
    return { ...none, households, buildings: buildings.size, changes };
  }

  /** The households on either side of the line drawn so far, closed round the cell. */
  private aheadCut(none: Preview): Preview {
    const { board } = this.desk;
    const cell = this.chosenOr(this.stroke[0]);
    const found = cell === null ? undefined : board.cells.get(cell);
    if (!found) return none;
    const side = this.leftOf(found.bbox);
    let households = 0;
    const counted = new Set<Id>();
    for (const face of board.facesOf(found.id)) {
      if (!isInside(face.middle, [side])) continue;
      for (const part of face.parts) {
        if (counted.has(part)) continue;
        counted.add(part);
        households += board.parts.get(part)?.households ?? 0;
      }
    }
    const rest = found.households - households;
    const cut = { ...found, households, band_state: board.bandState(found.depth, households, found.dedicated) };
    const left = { ...found, households: rest, band_state: board.bandState(found.depth, rest, found.dedicated) };
    return {
      ...none,
      households,
      changes: [
        { before: found, after: left },
        { before: { ...found, id: 0, code: "", name: null, households: 0, band_state: "empty" }, after: cut },
      ],
    };
  }

  /** The half of the surroundings on the left of the stroke: its ends run on far, and round. */
  private leftOf(bbox: readonly number[]): Place[] {
    const line = this.stroke;
    const [a, b] = [line[0], line[line.length - 1]];
    const far = 4 * Math.max(bbox[2] - bbox[0], bbox[3] - bbox[1]);
    const way = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
    const [dx, dy] = [((b[0] - a[0]) / way) * far, ((b[1] - a[1]) / way) * far];
    return [
      [a[0] - dx, a[1] - dy],
      ...line,
      [b[0] + dx, b[1] + dy],
      [b[0] + dx - dy, b[1] + dy + dx],
      [a[0] - dx - dy, a[1] - dy + dx],
    ];
  }

  private show(geometry: GeoJSON.Geometry | null): void {
    const source = this.map.getSource("desk-hand") as GeoJSONSource;
    void source.setData(geometry ? { type: "Feature", geometry, properties: {} } : EMPTY);
  }
}

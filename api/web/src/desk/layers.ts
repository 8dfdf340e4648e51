/**
 * The board on the map: cells as tiles of polygons chained from edges, the lines between faces, and what is under the hand.
 *
 * A change chains the polygons of touched cells only, of the tiers on show only, and the map asks again for the tiles
 * that they lie in. Faces are no shapes of the map but for those that are marked: strokes, selections and edits on their
 * way show on faces, and the cells follow.
 */

import type { ExpressionSpecification, GeoJSONSource, MapSourceDataEvent, VectorTileSource } from "maplibre-gl";
import type { Box, Id, Place } from "../api/types";
import { setData, showBase, type TownMap } from "../map/town_map";
import { type CellShape, cellTile, isInTile, shapeOf } from "./cell_tiles";
import { colourCells, freeColour, lookOf } from "./colouring";
import type { BoardEdge } from "./ground";
import { lineTile, MARGIN } from "./line_tiles";
import { lineTiles, serve, type Tiles } from "./map_layers";
import { cellName } from "./names";
import { borderOf, bordersAt, polygonsOf, ringsFrom } from "./outlines";
import { boxOfTile, degreesOf } from "./plane";
import type { DeskState, Told } from "./state";
import type { DeskCell } from "./types";
import { EXTENT } from "./vector_tile";

const TILES_KEPT = 100;
const SELECTED = "#c2321f";

const name = (id: Id) => `c${id}`;
const atDepth = (depth: number): ExpressionSpecification => ["==", ["get", "depth"], depth];

/** A look that faces have for a while. */
interface Mark {
  faces: ReadonlySet<Id>;
  look: Look;
}

/** Colours of the fill and of the line, where there is one. */
export interface Look {
  colour?: string;
  opacity?: number;
  line?: string;
  width?: number;
}

/** A tile of cells as the map has it. */
interface MadeTile {
  at: [z: number, x: number, y: number];
  data: ArrayBuffer;
  etag: string;
}

export class DeskLayers implements Tiles {
  private readonly colours = new Map<number, Map<Id, number>>();
  private readonly marked = new Map<string, Mark>();
  private readonly forget: (() => void)[] = [];
  /** The cells on show. */
  private readonly shapes = new Map<Id, CellShape>();
  /** Tiles in which nothing has changed since they were made. */
  private readonly made = new Map<string, MadeTile>();
  private tilesMade = 0;
  private tilesGiven = 0;
  private stale: Set<Id> | "all" = "all";
  private groundStale = false;
  private grounds = 0;
  private hasHouseholds = false;
  private hasStacks = false;
  private isSeen = false;
  /** Which buildings bear signs, as they are drawn. */
  private signs = "";
  private frame = 0;

  /** Cells are asked for at once, `given` is told when the map has them; `addDeskLayers` has been at the map before. */
  constructor(
    readonly map: TownMap,
    readonly desk: DeskState,
    private readonly given: () => void,
  ) {
    serve(this);
    const look = (event: MapSourceDataEvent) => this.lookAgain(event);
    map.on("sourcedata", look);
    this.forget.push(
      () => map.off("sourcedata", look),
      desk.listen((told) => this.hear(told)),
      desk.depth.listen(() => this.redraw("all")),
      desk.colouring.listen(() => this.redraw("all")),
      desk.selection.listen(() => this.showSelection()),
    );
    this.draw();
    this.showSelection();
    this.awaitCells();
  }

  /** The cells come first; base map, names and signs follow. `data-cells="seen"` at the map's place tells when. */
  private awaitCells(): void {
    const look = () => {
      if (!this.map.isSourceLoaded("desk-cells")) return;
      this.map.off("render", look);
      this.map.getContainer().dataset.cells = "seen";
      this.isSeen = true;
      showBase(this.map);
      this.redraw(new Set());
    };
    this.map.on("render", look);
    this.forget.push(() => this.map.off("render", look));
  }

  close(): void {
    for (const forget of this.forget) forget();
    serve(null);
    cancelAnimationFrame(this.frame);
  }

  /** Draw everything anew, as after a change of the language. */
  again(): void {
    this.redraw("all");
  }

  // Keeping up

  private hear({ cells, ground }: Told): void {
    if (cells === null) this.colours.clear();
    if (ground || cells === null) this.groundStale = true;
    this.redraw(cells === null ? "all" : cells);
  }

  private redraw(cells: ReadonlySet<Id> | "all"): void {
    if (cells === "all") this.stale = "all";
    else if (this.stale !== "all") for (const id of cells) this.stale.add(id);
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    this.frame = 0;
    const stale = this.stale;
    this.stale = new Set();
    this.hasStacks = [...this.desk.board.cells.values()].some(({ floor_from }) => floor_from !== null);
    this.style();
    if (stale === "all") this.shapeAll();
    else this.shapeAgain(stale);
    if (stale === "all" || stale.size > 0) this.map.refreshTiles("desk-cells");
    if (!this.isSeen) return;
    this.label();
    const hasNewGround = this.groundStale;
    if (hasNewGround) this.drawGround();
    this.sign(hasNewGround);
  }

  // Cells

  private shapeAll(): void {
    const { board, depth } = this.desk;
    this.shapes.clear();
    this.made.clear();
    for (const tier of board.tiers) {
      if (tier.depth > depth.value) continue;
      const { lines, near } = bordersAt(board, tier.depth);
      if (!this.colours.has(tier.depth)) this.colours.set(tier.depth, colourCells(board.cellsAt(tier.depth), near));
      for (const cell of board.cellsAt(tier.depth)) this.shape(cell, lines.get(cell.id) ?? []);
    }
  }

  private shapeAgain(stale: ReadonlySet<Id>): void {
    const { board, depth } = this.desk;
    const boxes: Box[] = [];
    const note = (id: Id) => {
      const shape = this.shapes.get(id);
      if (shape) boxes.push(shape.box);
    };
    for (const id of stale) {
      note(id);
      this.shapes.delete(id);
      const cell = board.cells.get(id);
      if (cell && cell.depth <= depth.value) this.shape(cell, borderOf(board.facesOf(id)));
      note(id);
    }
    for (const [key, { at }] of this.made) if (boxes.some((box) => isInTile(box, ...at))) this.made.delete(key);
  }

  private shape(cell: DeskCell, lines: readonly BoardEdge[]): void {
    const { board, colouring, opening } = this.desk;
    const look = lookOf(board, cell, colouring.value, this.colourOf(cell), opening);
    const polygons = polygonsOf(ringsFrom(lines));
    if (polygons.length === 0) return;
    const pattern = cell.dedicated ? "pattern-dedicated" : look.pattern;
    const properties = {
      key: name(cell.id),
      depth: cell.depth,
      fill: look.fill,
      covered: this.isCovered(cell),
      ...(pattern === null ? {} : { pattern }),
    };
    this.shapes.set(cell.id, shapeOf(polygons, properties));
  }

  cells(z: number, x: number, y: number): { data: ArrayBuffer; etag: string } {
    const key = `${z}/${x}/${y}`;
    let tile = this.made.get(key);
    if (!tile) {
      this.tilesMade += 1;
      tile = { at: [z, x, y], data: cellTile(this.shapes.values(), z, x, y), etag: String(this.tilesMade) };
      const [oldest] = this.made.keys();
      if (this.made.size >= TILES_KEPT) this.made.delete(oldest);
      this.made.set(key, tile);
    }
    if (this.tilesGiven++ === 0) setTimeout(this.given); // after the others, which are asked for at the same time
    return { data: tile.data.slice(0), etag: tile.etag }; // the map's worker takes what it is given
  }

  /** What changed in a tile while that was on its way was not in it. */
  private lookAgain({ sourceId, tile }: MapSourceDataEvent): void {
    if (sourceId !== "desk-cells" || tile?.state !== "loaded") return;
    const { z, x, y } = tile.tileID.canonical;
    if (!this.made.has(`${z}/${x}/${y}`)) this.map.refreshTiles("desk-cells", [{ z, x, y }]);
  }

  lines(z: number, x: number, y: number): ArrayBuffer {
    const box = degreesOf(boxOfTile(z, x, y, MARGIN / EXTENT));
    return lineTile(this.desk.board.linesIn(box), z, x, y);
  }

  private drawGround(): void {
    this.groundStale = false;
    this.grounds += 1;
    (this.map.getSource("desk-lines") as VectorTileSource).setTiles(lineTiles(this.grounds));
    for (const [kind, { look }] of this.marked) this.mark(kind, new Set(), look);
    this.showSelection();
  }

  private colourOf(cell: DeskCell): number {
    const { board } = this.desk;
    let colours = this.colours.get(cell.depth);
    if (!colours) {
      colours = colourCells(board.cellsAt(cell.depth), bordersAt(board, cell.depth).near);
      this.colours.set(cell.depth, colours);
    }
    const known = colours.get(cell.id);
    if (known !== undefined) return known;
    const fresh = freeColour(board.neighbours(cell.id).keys(), colours, cell.id);
    colours.set(cell.id, fresh);
    return fresh;
  }

  /** The colour of a cell where it is coloured by cell; for strokes, always. */
  fillOf(id: Id): string {
    const cell = this.desk.board.cells.get(id);
    return cell ? lookOf(this.desk.board, cell, "cell", this.colourOf(cell), this.desk.opening).fill : "#ffffff";
  }

  /** Whether all its ground is that of a stack drawn already, which would show twice as dark. */
  private isCovered(cell: DeskCell): boolean {
    const { board } = this.desk;
    if (!this.hasStacks) return false;
    for (const face of board.facesOf(cell.id)) if (board.cellAt(face, cell.depth) === cell.id) return false;
    return true;
  }

  private style(): void {
    const { map, desk } = this;
    const depth = desk.depth.value;
    const filled = desk.colouring.value !== "none";
    const seen: ExpressionSpecification = ["all", atDepth(depth), ["!", ["get", "covered"]]];
    map.setFilter("desk-cell-fill", seen);
    map.setFilter("desk-cell-pattern", ["all", seen, ["to-boolean", ["get", "pattern"]]]);
    map.setPaintProperty("desk-cell-fill", "fill-opacity", filled ? 0.6 : 0);
    map.setFilter("desk-cell-line", atDepth(depth));
    map.setFilter("desk-upper-line", ["<", ["get", "depth"], depth]);
    const width = (far: number, near: number): ExpressionSpecification => [
      "interpolate",
      ["linear"],
      ["zoom"],
      11,
      far,
      16,
      near,
    ];
    const isTop = depth === desk.tiers[0]?.depth;
    map.setPaintProperty("desk-cell-line", "line-width", isTop ? width(1.2, 3) : width(0.5, 1.4));
    map.setPaintProperty("desk-upper-line", "line-width", width(1.4, 3.6));
  }

  private label(): void {
    const { board, depth, colouring, opening } = this.desk;
    const stacks = new Map<string, DeskCell[]>();
    for (const cell of board.cellsAt(depth.value)) {
      const place = this.placeOf(cell);
      if (!place) continue;
      const key = place.join();
      stacks.set(key, [...(stacks.get(key) ?? []), cell]);
    }
    const features = [...stacks].map(([place, [cell, ...more]]): GeoJSON.Feature => {
      const look = lookOf(board, cell, colouring.value, 0, opening);
      return {
        type: "Feature",
        geometry: { type: "Point", coordinates: place.split(",").map(Number) },
        properties: {
          name: cellName(board, cell) + (more.length > 0 ? ` +${more.length}` : "") + (cell.dedicated ? " ★" : ""),
          says: look.says,
          locked: cell.locked,
          order: -cell.households,
        },
      };
    });
    setData(this.map, "desk-labels", { type: "FeatureCollection", features });
  }

  private readonly places = new WeakMap<DeskCell, Place>();

  /** The middle of the face whose box is nearest to the middle of a cell: where names are read best. */
  private placeOf(cell: DeskCell): Place | null {
    const known = this.places.get(cell);
    if (known) return known;
    const faces = [...this.desk.board.facesOf(cell.id)];
    const middles = faces.map(({ box: [west, south, east, north] }): Place => [(west + east) / 2, (south + north) / 2]);
    let [x, y, area] = [0, 0, 0];
    for (const [i, face] of faces.entries()) {
      x += middles[i][0] * face.area_m2;
      y += middles[i][1] * face.area_m2;
      area += face.area_m2;
    }
    const away = middles.map((middle) => Math.hypot(middle[0] - x / area, middle[1] - y / area));
    const nearest = faces[away.indexOf(Math.min(...away))];
    if (nearest) this.places.set(cell, nearest.middle);
    return nearest?.middle ?? null;
  }

  /** Locks, and what lies in no cell, at buildings: to be seen whatever else is shown. */
  private sign(always: boolean): void {
    const { board } = this.desk;
    const signs = new Map<Id, string>();
    for (const id of board.lockedBuildings) signs.set(id, "desk-lock");
    for (const id of board.unplaced()) signs.set(id, "desk-unplaced");
    const key = [...signs].join();
    if (key === this.signs && !always) return;
    this.signs = key;
    const at = (id: Id, properties: GeoJSON.GeoJsonProperties): GeoJSON.Feature[] => {
      const building = board.buildings.get(id);
      if (!building) return [];
      return [{ type: "Feature", geometry: { type: "Point", coordinates: [building.lon, building.lat] }, properties }];
    };
    const marked = [...signs].flatMap(([id, sign]) => at(id, { sign }));
    setData(this.map, "desk-signs", { type: "FeatureCollection", features: marked });
    if (this.hasHouseholds) this.count();
  }

  /** Households at all buildings; only once they are asked for. */
  private count(): void {
    const { board } = this.desk;
    const unplaced = new Set(board.unplaced());
    const features = [...board.buildings.values()].map(
      ({ id, lon, lat, households, locked }): GeoJSON.Feature => ({
        type: "Feature",
        geometry: { type: "Point", coordinates: [lon, lat] },
        properties: { households: String(households), signed: locked || unplaced.has(id) },
      }),
    );
    setData(this.map, "desk-households", { type: "FeatureCollection", features });
  }

  showHouseholds(shown: boolean): void {
    if (shown && !this.hasHouseholds) this.count();
    this.hasHouseholds = shown;
    this.map.setLayoutProperty("desk-households", "visibility", shown ? "visible" : "none");
  }

  // What is under the hand

  /** Give faces a look under a name, instead of those that had it. */
  mark(kind: string, faces: ReadonlySet<Id>, look: Look): void {
    const { board } = this.desk;
    const before = this.marked.get(kind);
    const isSame = before !== undefined && JSON.stringify(before.look) === JSON.stringify(look);
    const gone = [...(before?.faces ?? [])].filter((id) => !faces.has(id));
    const fresh = [...faces].filter((id) => !isSame || !before.faces.has(id));
    this.marked.set(kind, { faces: new Set(faces), look });
    if (gone.length + fresh.length === 0) return;
    const key = (id: Id) => `${kind} ${id}`;
    const add = fresh.flatMap((id): GeoJSON.Feature[] => {
      const face = board.faces.get(id);
      if (!face) return [];
      const geometry = { type: "MultiPolygon" as const, coordinates: polygonsOf(face.rings) };
      return [{ type: "Feature", geometry, properties: { key: key(id), ...look } }];
    });
    void (this.map.getSource("desk-marks") as GeoJSONSource).updateData({ remove: gone.map(key), add });
  }

  private showSelection(): void {
    const { cells, faces } = this.desk.selection.value;
    const keys: ExpressionSpecification = ["in", ["get", "key"], ["literal", cells.map(name)]];
    this.map.setFilter("desk-chosen-line", keys);
    this.map.setFilter("desk-chosen-halo", keys);
    this.mark("selection", new Set(faces), { line: SELECTED, width: 2.6 });
  }

  /** A dashed line round cells that others changed. */
  showOthers(cells: readonly Id[]): void {
    this.map.setFilter("desk-others-line", ["in", ["get", "key"], ["literal", cells.map(name)]]);
  }
}

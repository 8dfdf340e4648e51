/**
 * The board on the map: cells as polygons chained from edges, the lines between faces, and what is under the hand.
 *
 * A change redraws the polygons of touched cells only, and of the tiers on show only. Lines between faces are cut into
 * tiles for what is in view. Faces are no shapes of the map but for those that are marked: strokes, selections and edits
 * on their way show on faces, and the cells follow.
 */

import {
  addProtocol,
  type ExpressionSpecification,
  type GeoJSONSource,
  removeProtocol,
  type VectorTileSource,
} from "maplibre-gl";
import type { Id, Place } from "../api/types";
import { BELOW_NAMES, BELOW_WATER, FONT_BOLD } from "../map/base_style";
import { CHOSEN, INK, OUTLINE } from "../map/colours";
import { EMPTY, setData, showBase, type TownMap } from "../map/town_map";
import { colourCells, freeColour, lookOf } from "./colouring";
import { boxOfTile, LAYER, lineTile } from "./line_tiles";
import { cellName } from "./names";
import { outlineOf, polygonsOf } from "./outlines";
import { addDeskPictures } from "./pictures";
import type { DeskState, Told } from "./state";
import type { DeskCell } from "./types";

const LINES = { from: 14, to: 16 };
const LINES_FROM_ZOOM = 14.5;
const PROTOCOL = "desk-lines";
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

export class DeskLayers {
  private readonly colours = new Map<number, Map<Id, number>>();
  private readonly marked = new Map<string, Mark>();
  private readonly forget: (() => void)[] = [];
  private stale: Set<Id> | "all" = "all";
  private groundStale = false;
  private grounds = 0;
  private hasHouseholds = false;
  private hasStacks = false;
  private isDrawn = false;
  private isSeen = false;
  /** Which buildings bear signs, as they are drawn. */
  private signs = "";
  private frame = 0;

  constructor(
    readonly map: TownMap,
    readonly desk: DeskState,
  ) {
    addDeskPictures(map);
    this.add();
    this.forget.push(
      desk.listen((told) => this.hear(told)),
      desk.depth.listen(() => this.redraw("all")),
      desk.colouring.listen(() => this.redraw("all")),
      desk.selection.listen(() => this.showSelection()),
    );
    this.redraw("all");
    this.showSelection();
    this.awaitCells();
  }

  /** The cells come first; base map, names and signs follow. `data-cells="seen"` at the map's place tells when. */
  private awaitCells(): void {
    const look = () => {
      if (!this.isDrawn || !this.map.isSourceLoaded("desk-cells")) return;
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
    removeProtocol(PROTOCOL);
    cancelAnimationFrame(this.frame);
  }

  /** Draw everything anew, as after a change of the language. */
  again(): void {
    this.redraw("all");
  }

  private add(): void {
    const { map, desk } = this;
    const cells = { source: "desk-cells" };
    map.addSource("desk-cells", {
      type: "geojson",
      data: EMPTY,
      promoteId: "key",
      tolerance: 0.2,
      buffer: 16,
      maxzoom: 17,
    });
    addProtocol(PROTOCOL, async ({ url }) => {
      const [z, x, y] = url.split("/").slice(-3).map(Number);
      return { data: lineTile(desk.board.linesIn(boxOfTile(z, x, y)), z, x, y) };
    });
    map.addSource("desk-lines", { type: "vector", tiles: this.lineTiles(), minzoom: LINES.from, maxzoom: LINES.to });
    map.addSource("desk-marks", { type: "geojson", data: EMPTY, promoteId: "key", tolerance: 0.3, maxzoom: 17 });
    map.addSource("desk-labels", { type: "geojson", data: EMPTY });
    map.addLayer(
      {
        id: "desk-cell-fill",
        type: "fill",
        ...cells,
        paint: { "fill-color": ["get", "fill"], "fill-opacity": 0.6, "fill-antialias": false },
      },
      BELOW_WATER,
    );
    map.addLayer(
      {
        id: "desk-cell-pattern",
        type: "fill",
        ...cells,
        filter: ["to-boolean", ["get", "pattern"]],
        paint: { "fill-pattern": ["coalesce", ["image", ["get", "pattern"]], ["image", "pattern-under"]] },
      },
      BELOW_WATER,
    );
    map.addLayer(
      {
        id: "desk-mark",
        type: "fill",
        source: "desk-marks",
        filter: ["has", "colour"],
        paint: { "fill-color": ["get", "colour"], "fill-opacity": ["get", "opacity"], "fill-antialias": false },
      },
      BELOW_NAMES,
    );
    map.addLayer(
      {
        id: "desk-face-line",
        type: "line",
        source: "desk-lines",
        "source-layer": LAYER,
        minzoom: LINES_FROM_ZOOM,
        paint: { "line-color": "#6d6457", "line-width": 0.4, "line-opacity": 0.45 },
      },
      BELOW_NAMES,
    );
    map.addLayer(
      {
        id: "desk-mark-line",
        type: "line",
        source: "desk-marks",
        filter: ["has", "line"],
        paint: { "line-color": ["get", "line"], "line-width": ["get", "width"] },
      },
      BELOW_NAMES,
    );
    this.addLines();
    this.addLabels();
  }

  private addLines(): void {
    const { map } = this;
    const source = "desk-cells";
    const layout = { "line-join": "round" } as const;
    map.addLayer({ id: "desk-cell-line", type: "line", source, layout, paint: { "line-color": OUTLINE } }, BELOW_NAMES);
    map.addLayer({ id: "desk-upper-line", type: "line", source, layout, paint: { "line-color": INK } }, BELOW_NAMES);
    map.addLayer({
      id: "desk-others-line",
      type: "line",
      source,
      layout,
      filter: ["==", ["get", "key"], ""],
      paint: { "line-color": "#7a3f94", "line-width": 4, "line-dasharray": [1.5, 1] },
    });
    map.addLayer({
      id: "desk-chosen-halo",
      type: "line",
      source,
      layout,
      filter: ["==", ["get", "key"], ""],
      paint: { "line-color": "#ffffff", "line-width": 7, "line-opacity": 0.85 },
    });
    map.addLayer({
      id: "desk-chosen-line",
      type: "line",
      source,
      layout,
      filter: ["==", ["get", "key"], ""],
      paint: { "line-color": CHOSEN, "line-width": 3.5 },
    });
  }

  private addLabels(): void {
    const { map } = this;
    map.addSource("desk-households", { type: "geojson", data: EMPTY });
    map.addLayer({
      id: "desk-households",
      type: "symbol",
      source: "desk-households",
      minzoom: 15.8,
      layout: {
        visibility: "none",
        "text-field": ["get", "households"],
        "text-font": FONT_BOLD,
        "text-size": ["interpolate", ["linear"], ["zoom"], 16, 10, 18, 14],
        "text-offset": ["case", ["get", "signed"], ["literal", [0, 1.1]], ["literal", [0, 0]]],
      },
      paint: { "text-color": INK, "text-halo-color": "rgba(255,255,255,0.9)", "text-halo-width": 1.5 },
    });
    map.addSource("desk-signs", { type: "geojson", data: EMPTY });
    map.addLayer({
      id: "desk-signs",
      type: "symbol",
      source: "desk-signs",
      minzoom: 13.5,
      layout: {
        "icon-image": ["get", "sign"],
        "icon-size": ["interpolate", ["linear"], ["zoom"], 14, 0.5, 17, 0.9],
        "icon-allow-overlap": true,
      },
    });
    map.addLayer({
      id: "desk-labels",
      type: "symbol",
      source: "desk-labels",
      layout: {
        "text-field": ["format", ["get", "name"], { "font-scale": 0.82 }, "\n", {}, ["get", "says"], {}],
        "text-font": FONT_BOLD,
        "text-size": ["interpolate", ["linear"], ["zoom"], 12, 10.5, 16, 15],
        "text-padding": 4,
        "icon-image": ["case", ["get", "locked"], "desk-lock", ""],
        "icon-offset": [0, -26],
        "icon-optional": true,
        "symbol-sort-key": ["get", "order"],
      },
      paint: { "text-color": INK, "text-halo-color": "rgba(255,255,255,0.9)", "text-halo-width": 1.7 },
    });
  }

  /** Another address for another ground, so that the map asks for its tiles anew. */
  private lineTiles(): string[] {
    return [`${PROTOCOL}://${this.grounds}/{z}/{x}/{y}`];
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
    this.isDrawn = true;
    const stale = this.stale;
    this.stale = new Set();
    this.hasStacks = [...this.desk.board.cells.values()].some(({ floor_from }) => floor_from !== null);
    const source = this.map.getSource("desk-cells") as GeoJSONSource;
    if (stale === "all") {
      const { board, depth } = this.desk;
      const shown = [...board.cells.values()].filter((cell) => cell.depth <= depth.value);
      const features = shown.flatMap((cell) => this.feature(cell) ?? []);
      void source.setData({ type: "FeatureCollection", features });
    } else if (stale.size > 0) {
      const drawn = new Map<Id, GeoJSON.Feature>();
      for (const id of stale) {
        const cell = this.desk.board.cells.get(id);
        const feature = cell && cell.depth <= this.desk.depth.value && this.feature(cell);
        if (feature) drawn.set(id, feature);
      }
      const gone = [...stale].filter((id) => !drawn.has(id)).map(name);
      void source.updateData({ remove: gone, add: [...drawn.values()] });
    }
    this.style();
    if (!this.isSeen) return;
    this.label();
    const hasNewGround = this.groundStale;
    if (hasNewGround) this.drawGround();
    this.sign(hasNewGround);
  }

  private drawGround(): void {
    this.groundStale = false;
    this.grounds += 1;
    (this.map.getSource("desk-lines") as VectorTileSource).setTiles(this.lineTiles());
    for (const [kind, { look }] of this.marked) this.mark(kind, new Set(), look);
    this.showSelection();
  }

  private colourOf(cell: DeskCell): number {
    let colours = this.colours.get(cell.depth);
    if (!colours) {
      colours = colourCells(this.desk.board, cell.depth);
      this.colours.set(cell.depth, colours);
    }
    const known = colours.get(cell.id);
    if (known !== undefined) return known;
    const fresh = freeColour(this.desk.board.neighbours(cell.id).keys(), colours, cell.id);
    colours.set(cell.id, fresh);
    return fresh;
  }

  /** The colour of a cell where it is coloured by cell; for strokes, always. */
  fillOf(id: Id): string {
    const cell = this.desk.board.cells.get(id);
    return cell ? lookOf(this.desk.board, cell, "cell", this.colourOf(cell), this.desk.opening).fill : "#ffffff";
  }

  /** Null where a cell has no ground: MapLibre knows no empty shapes. */
  private feature(cell: DeskCell): GeoJSON.Feature | null {
    const { board, colouring, opening } = this.desk;
    const look = lookOf(board, cell, colouring.value, this.colourOf(cell), opening);
    const geometry = outlineOf(board, cell.id);
    if (geometry.coordinates.length === 0) return null;
    return {
      type: "Feature",
      geometry,
      properties: {
        key: name(cell.id),
        cell: cell.id,
        depth: cell.depth,
        fill: look.fill,
        covered: this.isCovered(cell),
        pattern: cell.dedicated ? "pattern-dedicated" : look.pattern,
      },
    };
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
    for (const [id, { locked }] of board.buildings) if (locked) signs.set(id, "desk-lock");
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

/** Grids and micro-grids on the map: filled by cell or by band, outlined, labelled, one of them chosen. */

import type { ExpressionSpecification, FilterSpecification } from "maplibre-gl";
import type { Cell, Id } from "../api/types";
import { communityName } from "../state/places";
import { BELOW_NAMES, BELOW_WATER, FONT_BOLD } from "./base_style";
import { BAND, CELLS, CHOSEN, INK, OUTLINE } from "./colours";
import { EMPTY, setData, type TownMap } from "./town_map";

export type Colouring = "cell" | "band" | "none";
export type CellKind = "grids" | "micro_grids";

const KINDS: CellKind[] = ["grids", "micro_grids"];
const NOTHING: FilterSpecification = ["==", ["id"], -1];

export interface CellView {
  /** A plan's cells, or null for what is in force. */
  plan: Id | null;
  kind: CellKind;
  depth: number | null;
  colouring: Colouring;
  /** Changes whenever the cells of a plan may have, so that no old tile is shown. */
  revision?: string;
}

const byCell: ExpressionSpecification = [
  "match",
  ["%", ["coalesce", ["get", "color_index"], 0], 8],
  ...CELLS.flatMap((colour, index) => [index, colour]),
  CELLS[0],
] as unknown as ExpressionSpecification;

const byBand: ExpressionSpecification = [
  "match",
  ["get", "state"],
  ...Object.entries(BAND).flat(),
  BAND.unbounded,
] as unknown as ExpressionSpecification;

const atDepth = (depth: number | null): FilterSpecification =>
  depth === null ? true : ["any", ["!", ["has", "depth"]], ["==", ["get", "depth"], depth]];

const both = (a: FilterSpecification, b: FilterSpecification) => ["all", a, b] as unknown as FilterSpecification;

const tiles = ({ plan, revision }: CellView, kind: CellKind): string[] => {
  const words = new URLSearchParams();
  if (plan !== null) words.set("plan", String(plan));
  if (revision) words.set("v", revision);
  return [`${location.origin}/tiles/${kind}/{z}/{x}/{y}.mvt${words.size ? `?${words}` : ""}`];
};

const sourceOf = (map: TownMap, kind: CellKind) => map.getSource(kind) as { tiles: string[] } | undefined;

function addCells(map: TownMap, view: CellView): void {
  for (const kind of KINDS) {
    map.addSource(kind, { type: "vector", tiles: tiles(view, kind), minzoom: 8, maxzoom: 16 });
    const common = { source: kind, "source-layer": kind };
    map.addLayer({ id: `${kind}-fill`, type: "fill", ...common, paint: { "fill-opacity": 0.62 } }, BELOW_WATER);
    for (const state of ["under", "over"] as const) {
      map.addLayer(
        { id: `${kind}-${state}`, type: "fill", ...common, paint: { "fill-pattern": `pattern-${state}` } },
        BELOW_WATER,
      );
    }
    map.addLayer(
      { id: `${kind}-line`, type: "line", ...common, layout: { "line-join": "round" }, paint: {} },
      BELOW_NAMES,
    );
  }
  for (const kind of KINDS) {
    map.addLayer({
      id: `${kind}-chosen`,
      type: "line",
      source: kind,
      "source-layer": kind,
      filter: NOTHING,
      layout: { "line-join": "round" },
      paint: { "line-color": CHOSEN, "line-width": 3.5 },
    });
  }
  map.addSource("cell-labels", { type: "geojson", data: EMPTY });
  map.addLayer({
    id: "cell-labels",
    type: "symbol",
    source: "cell-labels",
    layout: {
      "text-field": ["format", ["get", "tail"], {}, "\n", {}, ["get", "count"], { "font-scale": 0.82 }],
      "text-font": FONT_BOLD,
      "text-size": ["interpolate", ["linear"], ["zoom"], 12, 10.5, 16, 15],
      "text-padding": 6,
      "symbol-sort-key": ["-", ["get", "households"]],
    },
    paint: { "text-color": INK, "text-halo-color": "rgba(255,255,255,0.85)", "text-halo-width": 1.5 },
  });
}

/** Draw the cells that `view` asks for; the other tier stays as a thin or thick outline. */
export function showCells(map: TownMap, view: CellView): void {
  if (!map.getSource("grids")) addCells(map, view);
  for (const kind of KINDS) {
    const source = map.getSource(kind) as unknown as { setTiles(urls: string[]): void };
    const wanted = tiles(view, kind);
    if (sourceOf(map, kind)?.tiles?.[0] !== wanted[0]) source.setTiles(wanted);
    styleKind(map, view, kind);
  }
  map.setLayerZoomRange("cell-labels", LABELS_FROM[view.kind], 24);
}

function styleKind(map: TownMap, view: CellView, kind: CellKind): void {
  const shown = kind === view.kind;
  const filled = shown && view.colouring !== "none";
  const depth = atDepth(shown ? view.depth : null);
  map.setLayoutProperty(`${kind}-fill`, "visibility", shown ? "visible" : "none");
  map.setPaintProperty(`${kind}-fill`, "fill-color", view.colouring === "cell" ? byCell : byBand);
  map.setPaintProperty(`${kind}-fill`, "fill-opacity", filled ? 0.62 : 0);
  map.setFilter(`${kind}-fill`, depth);
  for (const state of ["under", "over"] as const) {
    map.setLayoutProperty(`${kind}-${state}`, "visibility", shown && view.colouring === "band" ? "visible" : "none");
    map.setFilter(`${kind}-${state}`, both(depth, ["==", ["get", "state"], state]));
  }
  const drawn = shown || kind === "grids";
  map.setLayoutProperty(`${kind}-line`, "visibility", drawn ? "visible" : "none");
  map.setFilter(`${kind}-line`, depth);
  const thick = kind === "grids" && view.kind === "micro_grids";
  map.setPaintProperty(`${kind}-line`, "line-color", OUTLINE);
  map.setPaintProperty(`${kind}-line`, "line-opacity", view.colouring === "none" && !shown ? 0.5 : 0.85);
  const [far, near] = thick ? [1.4, 3.2] : kind === "grids" ? [0.9, 2.2] : [0.4, 1.3];
  map.setPaintProperty(`${kind}-line`, "line-width", ["interpolate", ["linear"], ["zoom"], 11, far, 16, near]);
}

/** Draw a line in the colour of choice round these cells; an empty list takes it away. */
export function chooseCells(map: TownMap, ids: readonly Id[]): void {
  const filter: FilterSpecification = ids.length === 0 ? NOTHING : ["in", ["id"], ["literal", [...ids]]];
  for (const kind of KINDS) if (map.getLayer(`${kind}-chosen`)) map.setFilter(`${kind}-chosen`, filter);
}

export const chooseCell = (map: TownMap, id: Id | null): void => chooseCells(map, id === null ? [] : [id]);

const COMMUNITY_DIGITS = 12;
const GRID_DIGITS = 3;

/** The end of a code that tells a cell from its neighbours: what follows the community's, `005` or `005-04`. */
export function codeTail(code: string): string {
  if (code.length <= COMMUNITY_DIGITS) return code;
  const tail = code.slice(COMMUNITY_DIGITS);
  return tail.length > GRID_DIGITS ? `${tail.slice(0, GRID_DIGITS)}-${tail.slice(GRID_DIGITS)}` : tail;
}

/** The zooms from which the labels of a tier have room. */
const LABELS_FROM: Record<CellKind, number> = { grids: 12.2, micro_grids: 13.4 };

/** A grid is named with its community, whose numbers begin anew; a micro-grid's number begins with its grid's. */
function labelOf(cell: Cell): string {
  if (cell.name) return cell.name;
  if (cell.depth > 1) return codeTail(cell.code);
  const community = communityName(cell.community_id, cell.community_name).replace(/(社区|居委会|村| Community)$/, "");
  return `${community} ${codeTail(cell.code)}`.trim();
}

/** Households by cell, at the place the server names; cells stacked on one ground share a label. */
export function labelCells(map: TownMap, cells: readonly Cell[], unit: string): void {
  const stacks = new Map<string, Cell[]>();
  for (const cell of cells) {
    if (!cell.label) continue;
    const key = cell.label.map((x) => x.toFixed(6)).join();
    stacks.set(key, [...(stacks.get(key) ?? []), cell]);
  }
  const features = [...stacks.values()].map(
    (stack): GeoJSON.Feature => ({
      type: "Feature",
      id: stack[0].id,
      geometry: { type: "Point", coordinates: stack[0].label! },
      properties: {
        tail: labelOf(stack[0]) + (stack.length > 1 ? ` +${stack.length - 1}` : ""),
        count: `${stack.reduce((sum, cell) => sum + cell.households, 0)} ${unit}`,
        households: stack[0].households,
      },
    }),
  );
  setData(map, "cell-labels", { type: "FeatureCollection", features });
}

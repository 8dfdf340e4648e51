/** Sources and layers of the desk on the map, and the addresses of the tiles that the page makes for them. */

import { addProtocol } from "maplibre-gl";
import { BELOW_NAMES, BELOW_WATER, FONT_BOLD } from "../map/base_style";
import { CHOSEN, INK, OUTLINE } from "../map/colours";
import { EMPTY, type TownMap } from "../map/town_map";
import { LAYER as CELLS, cellTile, NEAREST_ZOOM, shapeOf } from "./cell_tiles";
import { LAYER as LINES } from "./line_tiles";

/** Tiles that are made of a board. */
export interface Tiles {
  /** With a mark that is another one whenever the tile is. */
  cells(z: number, x: number, y: number): { data: ArrayBuffer; etag: string };
  lines(z: number, x: number, y: number): ArrayBuffer;
}

const LINE_ZOOMS = { minzoom: 14, maxzoom: 16 };
const LINES_FROM_ZOOM = 14.5;

let tiles: Tiles | null = null;

/** Make tiles of another board, or of none, from now on. */
export function serve(next: Tiles | null): void {
  tiles = next;
}

const numbersOf = (url: string) => url.split("/").slice(-3).map(Number) as [z: number, x: number, y: number];

/**
 * A triangle, for as long as there is no board: worker and graphics get ready for cells while these are asked for.
 * It is never seen, since nothing of the map is before the cells are.
 */
function triangle(z: number, x: number, y: number): ArrayBuffer {
  const ring = [
    [-60, -60],
    [60, -60],
    [0, 60],
    [-60, -60],
  ];
  return cellTile([shapeOf([[ring]], { key: "", depth: 0, fill: "#ffffff", covered: false })], z, x, y);
}

addProtocol("desk-cells", async ({ url }) => {
  const [z, x, y] = numbersOf(url);
  return tiles?.cells(z, x, y) ?? { data: triangle(z, x, y), etag: "none" };
});
addProtocol("desk-lines", async ({ url }) => {
  return { data: tiles?.lines(...numbersOf(url)) ?? new ArrayBuffer(0) };
});

/** The address of lines of a ground: another one for another ground, so that the map asks for its tiles anew. */
export const lineTiles = (ground: number): string[] => [`desk-lines://${ground}/{z}/{x}/{y}`];

export function addDeskLayers(map: TownMap): void {
  map.addSource("desk-cells", { type: "vector", tiles: ["desk-cells://{z}/{x}/{y}"], maxzoom: NEAREST_ZOOM });
  map.addSource("desk-lines", { type: "vector", tiles: lineTiles(0), ...LINE_ZOOMS });
  map.addSource("desk-marks", { type: "geojson", data: EMPTY, promoteId: "key", tolerance: 0.3, maxzoom: 17 });
  addFills(map);
  addLines(map);
  addSymbols(map);
}

const cells = { source: "desk-cells", "source-layer": CELLS } as const;

function addFills(map: TownMap): void {
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
      "source-layer": LINES,
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
}

function addLines(map: TownMap): void {
  const layout = { "line-join": "round" } as const;
  map.addLayer({ id: "desk-cell-line", type: "line", ...cells, layout, paint: { "line-color": OUTLINE } }, BELOW_NAMES);
  map.addLayer({ id: "desk-upper-line", type: "line", ...cells, layout, paint: { "line-color": INK } }, BELOW_NAMES);
  map.addLayer({
    id: "desk-others-line",
    type: "line",
    ...cells,
    layout,
    filter: ["==", ["get", "key"], ""],
    paint: { "line-color": "#7a3f94", "line-width": 4, "line-dasharray": [1.5, 1] },
  });
  map.addLayer({
    id: "desk-chosen-halo",
    type: "line",
    ...cells,
    layout,
    filter: ["==", ["get", "key"], ""],
    paint: { "line-color": "#ffffff", "line-width": 7, "line-opacity": 0.85 },
  });
  map.addLayer({
    id: "desk-chosen-line",
    type: "line",
    ...cells,
    layout,
    filter: ["==", ["get", "key"], ""],
    paint: { "line-color": CHOSEN, "line-width": 3.5 },
  });
}

function addSymbols(map: TownMap): void {
  map.addSource("desk-labels", { type: "geojson", data: EMPTY });
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

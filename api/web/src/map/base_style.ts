/**
 * The base map, drawn from our own tiles: ground, water, buildings, roads by class, rail, walls, names.
 *
 * No `glyphs`: MapLibre then draws every letter with the fonts of the system, so no font server is needed.
 */

import type { ExpressionSpecification, LayerSpecification, SourceSpecification, StyleSpecification } from "maplibre-gl";

export const FONT = ["Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "Source Han Sans SC"];
export const FONT_BOLD = ["Noto Sans CJK SC Bold", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei"];

const LAYERS = ["ground", "water", "areas", "compounds", "buildings", "roads", "rail", "pois"] as const;

const GROUND: ExpressionSpecification = [
  "match",
  ["get", "kind"],
  "water",
  "#bdd8e8",
  "green",
  "#d9e8cd",
  "farmland",
  "#eceacb",
  "square",
  "#ece6da",
  "industrial",
  "#e6e2e6",
  "residential",
  "#f0ebe1",
  "#efece5",
];

const HOUSEHOLDS: ExpressionSpecification = [
  "interpolate",
  ["linear"],
  ["coalesce", ["get", "households"], 0],
  0,
  "#ddd8ce",
  12,
  "#cfc5b3",
  60,
  "#b5a68d",
  150,
  "#96846a",
  300,
  "#75644c",
];

/** Width in pixels by zoom, for a road `weight` times a lane wide. */
const width = (weight: number, casing = 0): ExpressionSpecification => [
  "interpolate",
  ["exponential", 1.6],
  ["zoom"],
  10,
  0.35 * weight + casing * 0.5,
  13,
  0.9 * weight + casing,
  15,
  2.1 * weight + casing * 1.6,
  18,
  8 * weight + casing * 2.4,
];

const ROADS = [
  { kind: "minor", weight: 1, fill: "#ffffff", casing: "#cfc9bd", from: 13, names: 15.5 },
  { kind: "secondary", weight: 1.8, fill: "#fff8e6", casing: "#c9b98f", from: 11, names: 14 },
  { kind: "arterial", weight: 2.6, fill: "#fde9b8", casing: "#c79f55", from: 9, names: 12.5 },
];

const kind = (value: string): ExpressionSpecification => ["==", ["get", "kind"], value];

const roadCasings = (): LayerSpecification[] =>
  ROADS.map(({ kind: name, weight, casing, from }) => ({
    id: `road-${name}-casing`,
    type: "line",
    source: "roads",
    "source-layer": "roads",
    minzoom: from,
    filter: kind(name),
    layout: { "line-cap": "round", "line-join": "round" },
    paint: {
      "line-color": ["case", ["to-boolean", ["get", "is_bridge"]], "#6f6a60", casing],
      "line-width": width(weight, 1.3),
    },
  }));

const roadFills = (): LayerSpecification[] =>
  ROADS.map(({ kind: name, weight, fill, from }) => ({
    id: `road-${name}`,
    type: "line",
    source: "roads",
    "source-layer": "roads",
    minzoom: from,
    filter: kind(name),
    layout: { "line-cap": "round", "line-join": "round" },
    paint: { "line-color": fill, "line-width": width(weight) },
  }));

const roadNames = (): LayerSpecification[] =>
  [...ROADS].reverse().map(({ kind: name, names }) => ({
    id: `road-${name}-name`,
    type: "symbol",
    source: "roads",
    "source-layer": "roads",
    minzoom: names,
    filter: kind(name),
    layout: {
      "symbol-placement": "line",
      "symbol-spacing": 420,
      "text-field": ["get", "name"],
      "text-font": FONT,
      "text-size": ["interpolate", ["linear"], ["zoom"], 13, 11, 17, 14],
      "text-letter-spacing": 0.12,
      "text-padding": 6,
    },
    paint: { "text-color": "#5a5140", "text-halo-color": "#fffdf6", "text-halo-width": 1.6 },
  }));

const underCells = (): LayerSpecification[] => [
  { id: "paper", type: "background", paint: { "background-color": "#f3f0e8" } },
  {
    id: "ground",
    type: "fill",
    source: "ground",
    "source-layer": "ground",
    paint: { "fill-color": GROUND, "fill-antialias": false },
  },
  {
    id: "compound",
    type: "fill",
    source: "compounds",
    "source-layer": "compounds",
    minzoom: 12,
    paint: { "fill-color": "#e9e1d2", "fill-opacity": 0.7 },
  },
  {
    id: "water",
    type: "fill",
    source: "water",
    "source-layer": "water",
    filter: ["==", ["geometry-type"], "Polygon"],
    paint: { "fill-color": "#b4d3e6" },
  },
  {
    id: "water-line",
    type: "line",
    source: "water",
    "source-layer": "water",
    filter: ["==", ["geometry-type"], "LineString"],
    paint: { "line-color": "#9dc4dc", "line-width": ["interpolate", ["linear"], ["zoom"], 10, 1, 16, 4] },
  },
];

const overCells = (): LayerSpecification[] => [
  {
    id: "building",
    type: "fill",
    source: "buildings",
    "source-layer": "buildings",
    minzoom: 13,
    paint: {
      "fill-color": HOUSEHOLDS,
      "fill-opacity": ["interpolate", ["linear"], ["zoom"], 13, 0.55, 15, 0.9],
      "fill-outline-color": "#8a7d69",
    },
  },
  {
    id: "wall",
    type: "line",
    source: "rail",
    "source-layer": "rail",
    minzoom: 14.5,
    filter: kind("wall"),
    paint: { "line-color": "#8d7a63", "line-width": 1.2, "line-dasharray": [3, 1.5] },
  },
  ...roadCasings(),
  ...roadFills(),
  {
    id: "rail",
    type: "line",
    source: "rail",
    "source-layer": "rail",
    filter: kind("rail"),
    paint: { "line-color": "#6b6b73", "line-width": ["interpolate", ["linear"], ["zoom"], 10, 1.2, 16, 3.6] },
  },
  {
    id: "rail-ties",
    type: "line",
    source: "rail",
    "source-layer": "rail",
    minzoom: 12,
    filter: kind("rail"),
    paint: {
      "line-color": "#ffffff",
      "line-width": ["interpolate", ["linear"], ["zoom"], 12, 0.8, 16, 2],
      "line-dasharray": [4, 4],
    },
  },
  {
    id: "area-line",
    type: "line",
    source: "areas",
    "source-layer": "areas",
    paint: {
      "line-color": "#7b5a78",
      "line-width": ["interpolate", ["linear"], ["zoom"], 10, 0.8, 15, 2],
      "line-dasharray": [5, 2, 1, 2],
      "line-opacity": 0.8,
    },
  },
];

/** `label` is a name that stands in one tile only, that of the middle; `name` would be drawn once in every tile. */
const names = (): LayerSpecification[] => [
  {
    id: "water-name",
    type: "symbol",
    source: "water",
    "source-layer": "water",
    minzoom: 12,
    filter: ["==", ["geometry-type"], "LineString"],
    layout: {
      "symbol-placement": "line",
      "symbol-spacing": 600,
      "text-field": ["get", "name"],
      "text-font": FONT,
      "text-size": 13,
      "text-letter-spacing": 0.3,
    },
    paint: { "text-color": "#2f6484", "text-halo-color": "#dcebf4", "text-halo-width": 1.4 },
  },
  ...roadNames(),
  {
    id: "compound-name",
    type: "symbol",
    source: "compounds",
    "source-layer": "compounds",
    minzoom: 15,
    layout: {
      "text-field": ["get", "label"],
      "text-font": FONT,
      "text-size": ["interpolate", ["linear"], ["zoom"], 15, 11, 17, 14],
      "text-max-width": 7,
      "text-padding": 8,
    },
    paint: { "text-color": "#5d4a33", "text-halo-color": "#fbf8f1", "text-halo-width": 1.6 },
  },
  {
    id: "poi-name",
    type: "symbol",
    source: "pois",
    "source-layer": "pois",
    minzoom: 15.5,
    filter: ["all", ["!=", ["get", "kind"], "gate"], ["!=", ["get", "kind"], "bridge"]],
    layout: {
      "text-field": ["concat", "● ", ["get", "name"]],
      "text-font": FONT,
      "text-size": 11.5,
      "text-max-width": 8,
      "text-padding": 6,
    },
    paint: { "text-color": "#36566b", "text-halo-color": "#ffffff", "text-halo-width": 1.4 },
  },
  {
    id: "building-name",
    type: "symbol",
    source: "buildings",
    "source-layer": "buildings",
    minzoom: 17,
    layout: {
      "text-field": ["get", "label"],
      "text-font": FONT,
      "text-size": 11,
      "text-max-width": 6,
    },
    paint: { "text-color": "#3b3226", "text-halo-color": "#f5f1e8", "text-halo-width": 1.2 },
  },
];

/** Layers that other modules put theirs before. */
export const BELOW_WATER = "water";
export const BELOW_NAMES = "water-name";

export function baseStyle(origin: string): StyleSpecification {
  const sources: Record<string, SourceSpecification> = {};
  for (const layer of LAYERS) sources[layer] = { type: "vector", url: `${origin}/tiles/${layer}.json` };
  return { version: 8, sources, layers: [...underCells(), ...overCells(), ...names()] };
}

/** Nothing but its paper, and marks where others put their layers before. */
export function bareStyle(): StyleSpecification {
  const mark = (id: string): LayerSpecification => ({ id, type: "background", layout: { visibility: "none" } });
  return { version: 8, sources: {}, layers: [underCells()[0], mark(BELOW_WATER), mark(BELOW_NAMES)] };
}

/** What a field worker sees beside the base map: the own buildings, the own tasks, the own place. */

import type { Building, Id, Place } from "../api/types";
import { FONT_BOLD } from "./base_style";
import { CHOSEN, INK } from "./colours";
import { EMPTY, setData, type TownMap } from "./town_map";

export function addFieldLayers(map: TownMap): void {
  for (const source of ["own-buildings", "me"]) map.addSource(source, { type: "geojson", data: EMPTY });
  map.addLayer({
    id: "own-buildings",
    type: "circle",
    source: "own-buildings",
    paint: {
      "circle-radius": ["interpolate", ["linear"], ["zoom"], 14, 3, 17, 7],
      "circle-color": ["case", ["get", "chosen"], CHOSEN, "#14527d"],
      "circle-stroke-color": "#ffffff",
      "circle-stroke-width": 1.5,
    },
  });
  map.addLayer({
    id: "own-building-names",
    type: "symbol",
    source: "own-buildings",
    minzoom: 15.5,
    layout: {
      "text-field": ["get", "name"],
      "text-font": FONT_BOLD,
      "text-size": 12.5,
      "text-offset": [0, 1],
      "text-anchor": "top",
      "text-max-width": 9,
    },
    paint: { "text-color": INK, "text-halo-color": "#ffffff", "text-halo-width": 1.8 },
  });
  map.addLayer({
    id: "me-wide",
    type: "circle",
    source: "me",
    paint: { "circle-radius": 18, "circle-color": "#1a73c8", "circle-opacity": 0.18 },
  });
  map.addLayer({
    id: "me",
    type: "circle",
    source: "me",
    paint: {
      "circle-radius": 8,
      "circle-color": "#1a73c8",
      "circle-stroke-color": "#ffffff",
      "circle-stroke-width": 3,
    },
  });
}

export function showOwnBuildings(map: TownMap, buildings: readonly Building[], chosen: Id | null): void {
  const features = buildings.map(
    (building): GeoJSON.Feature => ({
      type: "Feature",
      id: building.id,
      geometry: { type: "Point", coordinates: [building.lon, building.lat] },
      properties: {
        id: building.id,
        name: building.name ?? building.compound_name ?? "",
        chosen: building.id === chosen,
      },
    }),
  );
  setData(map, "own-buildings", { type: "FeatureCollection", features });
}

export function showMe(map: TownMap, place: Place | null): void {
  const features: GeoJSON.Feature[] = place
    ? [{ type: "Feature", geometry: { type: "Point", coordinates: place }, properties: {} }]
    : [];
  setData(map, "me", { type: "FeatureCollection", features });
}

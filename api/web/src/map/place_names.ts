/** Names of the communities, one each, at the place the server names (a tile would repeat them tile by tile). */

import type { Box, Place } from "../api/types";
import { named } from "../i18n";
import type { Community } from "../state/places";
import { FONT_BOLD } from "./base_style";
import { EMPTY, setData, type TownMap } from "./town_map";

export function addPlaceNames(map: TownMap): void {
  map.addSource("place-names", { type: "geojson", data: EMPTY });
  map.addLayer({
    id: "place-names",
    type: "symbol",
    source: "place-names",
    minzoom: 10.5,
    maxzoom: 15.5,
    layout: {
      "text-field": ["get", "name"],
      "text-font": FONT_BOLD,
      "text-size": ["interpolate", ["linear"], ["zoom"], 11, 12, 15, 17],
      "text-letter-spacing": 0.15,
      "text-max-width": 8,
      "text-padding": 8,
    },
    paint: { "text-color": "#5f3d5c", "text-halo-color": "rgba(255,255,255,0.9)", "text-halo-width": 1.8 },
  });
}

const middle = ([west, south, east, north]: Box): Place => [(west + east) / 2, (south + north) / 2];

export function showPlaceNames(map: TownMap, areas: readonly Community[]): void {
  const features = areas.flatMap((area): GeoJSON.Feature[] => {
    const place = area.label ?? (area.bbox ? middle(area.bbox) : null);
    const name = named(area);
    return place ? [{ type: "Feature", geometry: { type: "Point", coordinates: place }, properties: { name } }] : [];
  });
  setData(map, "place-names", { type: "FeatureCollection", features });
}

/** The place of what was found: a ring round it on the map. */

import type { Place } from "../api/types";
import { CHOSEN } from "./colours";
import { EMPTY, setData, type TownMap } from "./town_map";

export function showFound(map: TownMap, place: Place | null): void {
  if (!map.getSource("found")) {
    map.addSource("found", { type: "geojson", data: EMPTY });
    map.addLayer({
      id: "found-wide",
      type: "circle",
      source: "found",
      paint: { "circle-radius": 22, "circle-color": CHOSEN, "circle-opacity": 0.16 },
    });
    map.addLayer({
      id: "found",
      type: "circle",
      source: "found",
      paint: {
        "circle-radius": 9,
        "circle-color": CHOSEN,
        "circle-stroke-color": "#ffffff",
        "circle-stroke-width": 3,
      },
    });
  }
  const features: GeoJSON.Feature[] = place
    ? [{ type: "Feature", geometry: { type: "Point", coordinates: place }, properties: {} }]
    : [];
  setData(map, "found", { type: "FeatureCollection", features });
}

/** Go to what was chosen from a search, on any page's map. */

import { useEffect } from "preact/hooks";
import type { Found } from "../api/types";
import { showFound } from "../map/found_layer";
import { coveredBelow, goToBox, goToPlace, type TownMap } from "../map/town_map";
import { chosenFound, placeOf } from "./search";
import { useValue } from "./value";

/** Small things are gone to as a place, wide ones are shown whole. */
const WIDE: ReadonlySet<Found["kind"]> = new Set(["compound", "community", "area", "grid", "micro_grid", "staff"]);

/** What was chosen; the map has gone there and has a ring round it. */
export function useFound(map: TownMap | null): Found | null {
  const found = useValue(chosenFound);
  useEffect(() => {
    if (!map) return;
    const place = found && placeOf(found);
    showFound(map, found && !WIDE.has(found.kind) ? place : null);
    if (found?.bbox && WIDE.has(found.kind)) goToBox(map, found.bbox, 17, coveredBelow(map));
    else if (place) goToPlace(map, place, 17.5, coveredBelow(map));
  }, [map, found]);
  return found;
}

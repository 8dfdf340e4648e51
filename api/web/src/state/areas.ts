/** The tree of areas. */

import type { Area, Id } from "../api/types";

/** Communities at or under an area of the tree. */
export function communitiesUnder(areas: readonly Area[], top: Id): Area[] {
  const under = new Set([top]);
  let grown = true;
  while (grown) {
    grown = false;
    for (const area of areas) {
      if (!under.has(area.id) && area.parent_id && under.has(area.parent_id)) {
        under.add(area.id);
        grown = true;
      }
    }
  }
  return areas.filter((area) => area.level === "community" && under.has(area.id));
}

/** Those that have any. */
export const upperAreas = (areas: readonly Area[]) =>
  areas.filter((area) => area.level !== "community" && communitiesUnder(areas, area.id).length > 0);

/** The lowest area that still holds every community. */
export function usualArea(areas: readonly Area[], tops: readonly Area[]): Id | null {
  const held = tops.map((top) => communitiesUnder(areas, top.id).length);
  return tops[held.lastIndexOf(Math.max(...held))]?.id ?? null;
}

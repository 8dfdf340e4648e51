/** Distances and directions for short ways, and words for them. */

import type { Place } from "../api/types";

const EARTH_M = 6371008.8;
const radians = (degrees: number) => (degrees * Math.PI) / 180;

/** Metres between two places (haversine on the mean sphere: within 0.5 %, enough for a list of neighbours). */
export function metres([lon1, lat1]: Place, [lon2, lat2]: Place): number {
  const half = (a: number, b: number) => Math.sin(radians(b - a) / 2) ** 2;
  const h = half(lat1, lat2) + Math.cos(radians(lat1)) * Math.cos(radians(lat2)) * half(lon1, lon2);
  return 2 * EARTH_M * Math.asin(Math.sqrt(h));
}

/** Degrees clockwise from north of the way from one place to another, 0 ≤ bearing < 360. */
export function bearing([lon1, lat1]: Place, [lon2, lat2]: Place): number {
  const east = Math.sin(radians(lon2 - lon1)) * Math.cos(radians(lat2));
  const north =
    Math.cos(radians(lat1)) * Math.sin(radians(lat2)) -
    Math.sin(radians(lat1)) * Math.cos(radians(lat2)) * Math.cos(radians(lon2 - lon1));
  return ((Math.atan2(east, north) * 180) / Math.PI + 360) % 360;
}

export const DIRECTIONS = ["n", "ne", "e", "se", "s", "sw", "w", "nw"] as const;

export const direction = (degrees: number) => DIRECTIONS[Math.round(degrees / 45) % 8];

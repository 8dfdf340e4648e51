/** A map made before its place is there, while what it will show is on its way. */

import type { Box } from "../api/types";
import { makeMap, type TownMap } from "./town_map";

interface Ahead {
  container: HTMLElement;
  map: Promise<TownMap>;
}

let ahead: Ahead | null = null;

/** Make it where `place` is now: there it hangs over the page until a `MapView` takes it in. */
export function makeMapAhead(place: HTMLElement, extent: Box | null): void {
  if (ahead) return;
  const { left, top, width, height } = place.getBoundingClientRect();
  const container = document.createElement("div");
  container.className = "map";
  container.setAttribute("aria-hidden", "true");
  const pixels = { left, top, width, height };
  container.style.position = "fixed";
  for (const [name, value] of Object.entries(pixels)) container.style.setProperty(name, `${value}px`);
  document.body.append(container);
  ahead = { container, map: makeMap(container, extent) };
}

/** Move it into `place`; null where none was made. */
export function takeMapAhead(place: HTMLElement): Promise<TownMap> | null {
  if (!ahead) return null;
  const { container, map } = ahead;
  ahead = null;
  container.removeAttribute("aria-hidden");
  container.removeAttribute("style");
  place.append(container);
  return map;
}

/** Nobody will take it. */
export function dropMapAhead(): void {
  if (!ahead) return;
  const { container, map } = ahead;
  ahead = null;
  container.remove();
  void map.then((made) => made.remove());
}

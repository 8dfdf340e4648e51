/** Tiles that could not be had while the server was away are asked for again, until they come. */

import type { Map as MapLibre } from "maplibre-gl";

const AGAIN_MS = 5000;

export function askAgain(map: MapLibre): void {
  const lacking = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const ask = () => {
    timer = undefined;
    for (const id of lacking) if (map.getSource(id)) map.refreshTiles(id);
    lacking.clear();
  };
  map.on("error", (event) => {
    const { error, sourceId } = event as { error?: { status?: number }; sourceId?: string };
    // Without a status nothing answered; what was refused stays refused.
    if (!sourceId || (error?.status ?? 500) < 500) return;
    lacking.add(sourceId);
    timer ??= setTimeout(ask, AGAIN_MS);
  });
  map.on("remove", () => clearTimeout(timer));
}

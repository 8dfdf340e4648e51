/** Where the person stands: told by the phone if it may, else the middle of the own grid, else a place tapped. */

import { useEffect, useState } from "preact/hooks";
import type { Place } from "../api/types";

export interface Position {
  place: Place;
  accuracy_m: number | null;
  how: "device" | "tapped" | "grid";
}

/** Worse fixes than this name the wrong street; they are not used. */
const WORST_ACCURACY_M = 150;

export function usePosition(gridCentre: Place | null): {
  position: Position | null;
  tap: (place: Place | null) => void;
} {
  const [device, setDevice] = useState<Position | null>(null);
  const [tapped, tap] = useState<Place | null>(null);
  useEffect(() => {
    if (!("geolocation" in navigator)) return;
    const watch = navigator.geolocation.watchPosition(
      ({ coords }) => {
        if (coords.accuracy > WORST_ACCURACY_M) return;
        setDevice({ place: [coords.longitude, coords.latitude], accuracy_m: coords.accuracy, how: "device" });
      },
      () => setDevice(null),
      { enableHighAccuracy: true, maximumAge: 10_000 },
    );
    return () => navigator.geolocation.clearWatch(watch);
  }, []);
  const position: Position | null = tapped
    ? { place: tapped, accuracy_m: null, how: "tapped" }
    : (device ?? (gridCentre ? { place: gridCentre, accuracy_m: null, how: "grid" } : null));
  return { position, tap };
}

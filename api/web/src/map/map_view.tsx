import { useLayoutEffect, useRef } from "preact/hooks";
import type { Box } from "../api/types";
import { makeMap, type TownMap } from "./town_map";

interface Props {
  extent: Box | null;
  onReady: (map: TownMap) => void;
  label: string;
  make?: typeof makeMap;
}

/** The place of a map in a page; the map is made once and taken away with it. */
export function MapView({ extent, onReady, label, make = makeMap }: Props) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    let map: TownMap | null = null;
    let gone = false;
    make(place.current!, extent).then((made) => {
      map = made;
      if (gone) made.remove();
      else {
        made.getCanvas().setAttribute("aria-label", label); // the canvas is the region that screen readers name
        onReady(made);
      }
    });
    return () => {
      gone = true;
      map?.remove();
    };
  }, []);
  return <div class="map" ref={place} />;
}

/** A comparison on the map: buildings filled by their new cell and edged by their old one, borders old and new. */

import { useEffect } from "preact/hooks";
import { get } from "../../api/client";
import type { Id } from "../../api/types";
import { CELLS } from "../../map/colours";
import { useLoad } from "../../state/load";
import type { DeskState } from "../state";
import type { ComparedMap } from "./types";

const DARK = ["#2f6f9f", "#a55f14", "#2f7d55", "#84418c", "#8a7410", "#a33f3a", "#2a7a80", "#6e5a2a"];

/** A colour that a code has wherever it appears: cells side by side mostly have numbers side by side. */
export const colourOf = (code: string | null): string =>
  code === null ? "#d8d6cf" : CELLS[(Number(code.slice(-6)) || 0) % CELLS.length];
const edgeOf = (code: string): string => DARK[(Number(code.slice(-6)) || 0) % DARK.length];

interface Asked {
  before: Id;
  after: Id;
  depth: number;
  /** Edit number: after another the answer may be another. */
  seq: number;
}

export function useComparedMap(desk: DeskState, { before, after, depth, seq }: Asked): ComparedMap | null {
  const loaded = useLoad<ComparedMap>(
    (signal) => get(`/api/v1/plans/${after}/compare/map`, { with: before, depth }, signal),
    [before, after, depth, seq],
  );
  const found = loaded.value;
  useEffect(() => {
    if (!found) return;
    const features = found.buildings.features.map((feature) => ({
      ...feature,
      properties: {
        ...feature.properties,
        fill: colourOf(feature.properties.to_cell),
        edge: edgeOf(feature.properties.from_cell),
      },
    }));
    desk.overlay(
      "compare-buildings",
      { type: "FeatureCollection", features },
      { fill: ["get", "fill"], opacity: 0.95, line: ["get", "edge"], width: 2.5 },
    );
    desk.overlay("compare-before", found.before, { line: "#33485c", width: 2.5, dash: [2, 1.5] });
    desk.overlay("compare-after", found.after, { line: "#7a260e", width: 2.5 });
  }, [desk, found]);
  useEffect(
    () => () => {
      for (const name of ["buildings", "before", "after"]) desk.overlay(`compare-${name}`, null);
    },
    [desk],
  );
  return found;
}

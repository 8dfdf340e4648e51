/** What a cell is coloured and labelled by; every colour has a sign or a number beside it. */

import type { Id } from "../api/types";
import { number } from "../i18n";
import { BAND, CELLS } from "../map/colours";
import { type Board, compactness } from "./board";
import type { Colouring } from "./state";
import type { DeskCell } from "./types";

export interface Look {
  fill: string;
  /** A picture of `map/pictures.ts` or `desk/pictures.ts` laid over the fill. */
  pattern: string | null;
  /** The second line of the label. */
  says: string;
}

export interface Step {
  fill: string;
  pattern: string | null;
  /** A value of the enumeration `desk_legend`. */
  word: string;
}

/** Light to dark in one hue, so that order shows without colours. */
const COMPACT: readonly [least: number, fill: string][] = [
  [0.5, "#e4ecf5"],
  [0.35, "#b9cfe5"],
  [0.2, "#86a9cc"],
  [0, "#5580ad"],
];

const DEEP = { under: "#7ba3d6", over: "#d97b56" } as const;
const FAR_RATIO = 0.25;
const MANY_MOVED = 0.1;

export const SIGNS: Record<string, string> = { under: "▼", over: "▲", in_band: "", empty: "○", unbounded: "" };

export const STEPS: Record<Colouring, readonly Step[]> = {
  cell: [],
  none: [],
  households: [
    { fill: DEEP.under, pattern: "pattern-under", word: "far_under" },
    { fill: BAND.under, pattern: "pattern-under", word: "under" },
    { fill: BAND.in_band, pattern: null, word: "in_band" },
    { fill: BAND.over, pattern: "pattern-over", word: "over" },
    { fill: DEEP.over, pattern: "pattern-over", word: "far_over" },
  ],
  compact: COMPACT.map(([least, fill]) => ({ fill, pattern: null, word: `compact_${Math.round(least * 100)}` })),
  people: [
    { fill: "#e9a58b", pattern: "pattern-over", word: "people_0" },
    { fill: "#dcebd9", pattern: null, word: "people_1" },
    { fill: "#9ccbb0", pattern: null, word: "people_2" },
  ],
  change: [
    { fill: "#e6e4de", pattern: null, word: "change_no" },
    { fill: "#f1dd84", pattern: null, word: "change_some" },
    { fill: "#f2b77c", pattern: null, word: "change_many" },
    { fill: "#d3a9d8", pattern: "pattern-under", word: "change_new" },
  ],
};

function byHouseholds(board: Board, cell: DeskCell): Step {
  const tier = board.tier(cell.depth);
  const [low, high] = [tier?.low ?? 0, tier?.high ?? Infinity];
  if (cell.band_state === "under") return STEPS.households[cell.households < low * (1 - FAR_RATIO) ? 0 : 1];
  if (cell.band_state === "over") return STEPS.households[cell.households > high * (1 + FAR_RATIO) ? 4 : 3];
  return cell.band_state === "in_band"
    ? STEPS.households[2]
    : { fill: BAND[cell.band_state], pattern: null, word: cell.band_state };
}

/** The share of a cell's parts that came to it since the page was opened; null for a new cell. */
export function movedRatio(board: Board, cell: DeskCell, opening: ReadonlyMap<Id, ReadonlySet<Id>>): number | null {
  const old = opening.get(cell.id);
  if (!old) return null;
  const parts = board.partsIn(cell.id);
  const come = parts.filter((part) => !old.has(part)).length;
  const gone = old.size - (parts.length - come);
  return (come + gone) / Math.max(1, old.size);
}

export const signed = (difference: number, digits = 0): string =>
  `${difference > 0 ? "+" : difference < 0 ? "−" : "±"}${number(Math.abs(difference), digits)}`;

export function lookOf(
  board: Board,
  cell: DeskCell,
  colouring: Colouring,
  colour: number,
  opening: ReadonlyMap<Id, ReadonlySet<Id>>,
): Look {
  const households = `${SIGNS[cell.band_state]}${number(cell.households)}`;
  const look = (step: Step, says: string): Look => ({ fill: step.fill, pattern: step.pattern, says });
  switch (colouring) {
    case "households":
      return look(byHouseholds(board, cell), households);
    case "compact": {
      const ratio = compactness(cell);
      const index = COMPACT.findIndex(([least]) => ratio >= least);
      return look(STEPS.compact[index < 0 ? COMPACT.length - 1 : index], number(ratio, 2));
    }
    case "people":
      return look(STEPS.people[Math.min(2, cell.people)], `⚇ ${number(cell.people)}`);
    case "change": {
      const ratio = movedRatio(board, cell, opening);
      const index = ratio === null ? 3 : ratio === 0 ? 0 : ratio <= MANY_MOVED ? 1 : 2;
      return look(STEPS.change[index], ratio === null ? "＋" : ratio === 0 ? "" : `Δ ${number(ratio * 100)} %`);
    }
    default:
      return { fill: CELLS[colour % CELLS.length], pattern: null, says: households };
  }
}

/** Numbers of colours such that neighbours differ, as far as there are colours. */
export function colourCells(cells: DeskCell[], near: ReadonlyMap<Id, ReadonlySet<Id>>): Map<Id, number> {
  const colours = new Map<Id, number>();
  for (const { id } of cells.sort((a, b) => a.id - b.id)) {
    colours.set(id, freeColour(near.get(id) ?? [], colours, id));
  }
  return colours;
}

/** A colour that no neighbour has; begins at one that the number tells, so that all of them are used. */
export function freeColour(neighbours: Iterable<Id>, colours: ReadonlyMap<Id, number>, id: Id): number {
  const taken = new Set([...neighbours].map((one) => colours.get(one)));
  const start = Math.abs(id) % CELLS.length;
  for (let shift = 0; shift < CELLS.length; shift++) {
    const colour = (start + shift) % CELLS.length;
    if (!taken.has(colour)) return colour;
  }
  return start;
}

/**
 * Colours of the map. Cells: eight fills that stay apart for the colour-blind at equal lightness (after Okabe and
 * Ito), light enough that black text on them keeps a contrast over 7:1. Meaning never rests on colour alone: the band
 * has patterns, states have signs, and every label says it in words.
 */

export const CELLS = ["#8fbfe0", "#f2b77c", "#93cfae", "#d3a9d8", "#f1dd84", "#eaa5a2", "#9fd3d6", "#c6b795"];

export const BAND = {
  in_band: "#9ccbb0",
  under: "#a9c4e6",
  over: "#e9a58b",
  empty: "#d8d6cf",
  unbounded: "#cfd6d2",
} as const;

export const INK = "#1c2b39";
export const OUTLINE = "#33485c";
export const CHOSEN = "#c2321f";

/** Colour and sign of a state of an incident; the sign is drawn on the pin and stands beside the word in lists. */
export const STATUS: Record<string, { colour: string; sign: string }> = {
  reported: { colour: "#b3261e", sign: "!" },
  accepted: { colour: "#a3560a", sign: "+" },
  dispatched: { colour: "#7a3f94", sign: "→" },
  in_progress: { colour: "#1f5fa8", sign: "…" },
  resolved: { colour: "#0f6e6e", sign: "?" },
  verified: { colour: "#2d6a35", sign: "✓" },
  closed: { colour: "#53605a", sign: "■" },
  rejected: { colour: "#5b5f6b", sign: "×" },
};

/** The states in the order of the work, ended ones last. */
export const STATUSES = Object.keys(STATUS);
export const ENDED = ["closed", "rejected"];

export const statusLook = (status: string) => STATUS[status] ?? { colour: "#5b5f6b", sign: "?" };

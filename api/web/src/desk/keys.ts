/** The keyboard of the desk: a letter for each tool and act, as its button says. */

import { useEffect } from "preact/hooks";
import { act, asked, COMMANDS, redo, TOOLS, undo } from "./commands";
import { BRUSH_SIZES, type Hand } from "./hand";
import type { DeskState } from "./state";

/** Somebody writes, or answers a question: letters are letters there. */
const isBusy = (target: EventTarget | null): boolean =>
  (target as HTMLElement | null)?.closest?.("input:not([type=checkbox]), textarea, select, dialog") != null ||
  document.querySelector("dialog[open]") !== null;

function withControl(desk: DeskState, event: KeyboardEvent): boolean {
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) undo(desk);
  else if (key === "y" || (key === "z" && event.shiftKey)) redo(desk);
  else return false;
  return true;
}

function resize(hand: Hand, step: number): void {
  const brush = hand.brush.value;
  const index = BRUSH_SIZES.findIndex((radius) => radius >= brush.radius);
  const radius = BRUSH_SIZES[Math.min(BRUSH_SIZES.length - 1, Math.max(0, index + step))];
  hand.brush.set({ ...brush, radius });
}

/** Let go of one thing: the stroke, else picked buildings, else the cells, else the tool. */
function letGo(desk: DeskState, hand: Hand | null): void {
  if (hand?.cancel()) return;
  const { cells, faces } = desk.selection.value;
  if (faces.length > 0) desk.select(cells);
  else if (cells.length > 0) desk.select([]);
  else desk.tool.set("select");
}

function plain(desk: DeskState, hand: Hand | null, event: KeyboardEvent, households: () => void): boolean {
  const { key } = event;
  const tool = TOOLS.find((one) => one.key === key.toLowerCase());
  const command = COMMANDS.find((one) => one.key.toLowerCase() === key.toLowerCase());
  const tier = desk.tiers[Number(key) - 1];
  if (key === "Escape") letGo(desk, hand);
  else if (key === "?") asked.set("help");
  else if (key === "[" && hand) resize(hand, -1);
  else if (key === "]" && hand) resize(hand, 1);
  else if (key.toLowerCase() === "h") households();
  else if (tier) desk.show(tier.depth);
  else if (key === "K" && event.shiftKey && desk.mayEdit)
    act(desk, { kind: desk.lockedAll ? "unlock" : "lock", all: true });
  else if (tool && (desk.mayEdit || tool.tool === "select" || tool.tool === "pick")) desk.tool.set(tool.tool);
  else if (command && desk.mayEdit && command.can(desk)) command.run(desk);
  else return false;
  return true;
}

export function useKeys(desk: DeskState, hand: Hand | null, households: () => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (isBusy(event.target) || event.altKey || event.defaultPrevented) return;
      const control = event.ctrlKey || event.metaKey;
      const isTaken = control ? desk.mayEdit && withControl(desk, event) : plain(desk, hand, event, households);
      if (isTaken) event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [desk, hand, households]);
}

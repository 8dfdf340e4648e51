/** What can be done with the selection, by button, by key and by name. */

import type { Id } from "../api/types";
import { t } from "../i18n";
import type { IconName } from "../panels/icons";
import { done, failed } from "../panels/notice";
import { Value } from "../state/value";
import type { BoardFace } from "./ground";
import { newFrom } from "./moves";
import type { DeskState, Tool } from "./state";
import type { Change, Edit } from "./types";

export type Asked = "move" | "split" | "break" | "rename" | "items" | "help" | null;

export const asked = new Value<Asked>(null);

export interface ToolLine {
  tool: Tool;
  icon: IconName;
  key: string;
}

export const TOOLS: readonly ToolLine[] = [
  { tool: "select", icon: "cursor", key: "v" },
  { tool: "pick", icon: "building", key: "p" },
  { tool: "paint", icon: "brush", key: "b" },
  { tool: "lasso", icon: "lasso", key: "l" },
  { tool: "cut", icon: "cut", key: "c" },
  { tool: "reshape", icon: "border", key: "r" },
];

export interface Command {
  name: string;
  icon: IconName;
  /** As it is typed: a letter, or `F2`. */
  key: string;
  can: (desk: DeskState) => boolean;
  run: (desk: DeskState) => void;
}

/** Make an edit and say what became of it. */
export function act(desk: DeskState, edit: Edit): void {
  const before = new Set(desk.board.cells.keys());
  desk.apply(edit).then(
    (change) => {
      if (MAKES.has(edit.kind)) selectMade(desk, change, before);
    },
    (problem) => {
      if (problem.code !== "edit.stale") failed(problem); // what was stale has a dialog of its own
    },
  );
}

const MAKES: ReadonlySet<Edit["kind"]> = new Set(["new", "cut", "split"]);

/** What an edit made is selected beside what it was made of, so that one sees and goes on with it. */
function selectMade(desk: DeskState, change: Change, before: ReadonlySet<Id>): void {
  const depth = desk.depth.value;
  const made = change.cells.filter((cell) => cell.depth === depth && !before.has(cell.id)).map(({ id }) => id);
  if (made.length === 0) return;
  desk.select(change.kind === "new" ? made : [...new Set([...desk.selection.value.cells, ...made])]);
}

export function undo(desk: DeskState): void {
  desk.undo().then(() => done(t("desk.undone")), failed);
}

export function redo(desk: DeskState): void {
  desk.redo().then(() => done(t("desk.redone")), failed);
}

export const chosenFaces = (desk: DeskState): BoardFace[] =>
  desk.selection.value.faces.flatMap((id) => desk.board.faces.get(id) ?? []);

/** The one building whose faces are selected, or null. */
export function chosenBuilding(desk: DeskState): Id | null {
  const found = new Set(chosenFaces(desk).map((face) => face.building));
  const [only] = found;
  return found.size === 1 && only !== null && only !== undefined ? only : null;
}

const cells = (desk: DeskState) => desk.selection.value.cells;
const hasFaces = (desk: DeskState) => desk.selection.value.faces.length > 0;

/** In several parts, or with other households than its parts have: both are mended by joining. */
function canJoin(desk: DeskState, building: Id): boolean {
  const parts = desk.board.buildingParts(building).flatMap((id) => desk.board.parts.get(id) ?? []);
  const placed = parts.reduce((sum, part) => sum + part.households, 0);
  return parts.length > 1 || placed !== desk.board.buildings.get(building)?.households;
}

const chosenBuildings = (desk: DeskState): Id[] => [
  ...new Set(chosenFaces(desk).flatMap((face) => (face.building === null ? [] : [face.building]))),
];

function isLocked(desk: DeskState): boolean {
  const buildings = chosenBuildings(desk);
  return (
    cells(desk).some((id) => desk.board.cells.get(id)?.locked) ||
    buildings.some((id) => desk.board.buildings.get(id)?.locked)
  );
}

function toggleLock(desk: DeskState): void {
  const kind = isLocked(desk) ? "unlock" : "lock";
  const buildings = chosenBuildings(desk);
  act(desk, buildings.length > 0 ? { kind, buildings } : { kind, cells: [...cells(desk)] });
}

function makeNew(desk: DeskState): void {
  const faces = chosenFaces(desk);
  const { depth, board } = desk;
  const parent = depth.value === board.lowest && faces[0] ? board.cellAt(faces[0], depth.value - 1) : null;
  const edit = newFrom(board, faces, parent ?? undefined);
  if (edit) act(desk, edit);
  else failed(t("desk.nothing_free"));
  desk.select(cells(desk), []);
}

function dedicate(desk: DeskState): void {
  const [cell] = cells(desk);
  const found = desk.board.cells.get(cell);
  if (found) act(desk, { kind: "dedicate", cell, is_dedicated: !found.dedicated });
}

function allFaces(desk: DeskState): void {
  const found = cells(desk).flatMap((id) => [...desk.board.facesOf(id)].map((face) => face.id));
  desk.select(cells(desk), found);
}

/** Land and buildings of what is selected, for the act "into another grid". */
export const COMMANDS: readonly Command[] = [
  {
    name: "move",
    icon: "into",
    key: "g",
    can: (desk) => hasFaces(desk) || cells(desk).length > 0,
    run: () => asked.set("move"),
  },
  { name: "new", icon: "plus", key: "n", can: hasFaces, run: makeNew },
  {
    name: "merge",
    icon: "merge",
    key: "j",
    can: (desk) => cells(desk).length > 1,
    run: (desk) => {
      const [into, ...others] = cells(desk);
      act(desk, { kind: "merge", cells: others, into });
      desk.select([into]);
    },
  },
  { name: "split", icon: "split", key: "s", can: (desk) => cells(desk).length === 1, run: () => asked.set("split") },
  {
    name: "break",
    icon: "tower",
    key: "t",
    can: (desk) => chosenBuilding(desk) !== null,
    run: () => asked.set("break"),
  },
  {
    name: "join",
    icon: "building",
    key: "u",
    can: (desk) => {
      const building = chosenBuilding(desk);
      return building !== null && canJoin(desk, building);
    },
    run: (desk) => {
      act(desk, { kind: "join", building: chosenBuilding(desk)! });
      desk.select(cells(desk), []);
    },
  },
  { name: "lock", icon: "lock", key: "k", can: (desk) => cells(desk).length > 0 || hasFaces(desk), run: toggleLock },
  { name: "dedicate", icon: "star", key: "d", can: (desk) => cells(desk).length === 1, run: dedicate },
  { name: "rename", icon: "pen", key: "F2", can: (desk) => cells(desk).length === 1, run: () => asked.set("rename") },
  { name: "items", icon: "check", key: "i", can: (desk) => cells(desk).length > 0, run: () => asked.set("items") },
  { name: "faces", icon: "list", key: "a", can: (desk) => cells(desk).length > 0, run: allFaces },
];

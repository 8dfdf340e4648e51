/**
 * What an edit will do, as far as a page can know it, so that a stroke shows at once.
 *
 * Edits that make new ground (cut, reshape, break, join) or search (split) are left to the server.
 */

import type { Id } from "../api/types";
import { type Board, emptyPatch, type Patch } from "./board";
import type { DeskCell, Edit } from "./types";

/** Locked buildings, and whatever lies in a locked cell, stay where they are. */
export function isHeld(board: Board, part: Id): boolean {
  const { building, cell } = board.parts.get(part)!;
  return board.buildings.get(building)?.locked === true || (cell !== null && isCellLocked(board, cell));
}

export function isCellLocked(board: Board, cell: Id): boolean {
  let at: Id | null = cell;
  while (at !== null) {
    const found = board.cells.get(at);
    if (!found) return false;
    if (found.locked) return true;
    at = found.parent;
  }
  return false;
}

type Predictor<K extends Edit["kind"]> = (
  board: Board,
  edit: Extract<Edit, { kind: K }>,
  fresh: () => Id,
) => Patch | null;

const partsOf = (board: Board, { parts, building, compound }: Extract<Edit, { kind: "move" }>): Id[] => [
  ...(parts ?? []),
  ...(building === undefined ? [] : board.buildingParts(building)),
  ...(compound === undefined ? [] : board.compoundBuildings(compound).flatMap((one) => board.buildingParts(one))),
];

const move: Predictor<"move"> = (board, edit) => {
  const patch = emptyPatch();
  const [to] = board.lowestOf(edit.to);
  for (const part of partsOf(board, edit)) if (board.parts.has(part)) patch.parts.set(part, to);
  for (const id of edit.faces ?? []) {
    const face = board.faces.get(id);
    if (face && board.isLand(face)) patch.land.set(id, to);
    for (const part of face?.parts ?? []) patch.parts.set(part, to);
  }
  return patch;
};

const made: Predictor<"new"> = (board, edit, fresh) => {
  const patch = emptyPatch();
  const first = edit.parts.length > 0 ? board.parts.get(edit.parts[0])?.cell : board.faces.get(edit.faces[0])?.land;
  const model = first == null ? undefined : board.cells.get(first);
  if (!model) return null;
  const blank: DeskCell = {
    ...model,
    name: null,
    code: "",
    dedicated: false,
    locked: false,
    people: 0,
    open_incidents: 0,
  };
  let parent = edit.parent ?? null;
  if (parent === null && model.parent !== null) {
    const above = board.cells.get(model.parent);
    if (!above) return null;
    parent = fresh();
    patch.cells.set(parent, { ...above, ...blank, id: parent, depth: above.depth, parent: above.parent });
  }
  const id = fresh();
  patch.cells.set(id, { ...blank, id, parent });
  for (const part of edit.parts) patch.parts.set(part, id);
  for (const face of edit.faces) {
    patch.land.set(face, id);
    for (const part of board.faces.get(face)?.parts ?? []) patch.parts.set(part, id);
  }
  return patch;
};

const reparent: Predictor<"reparent"> = (board, edit) => {
  const patch = emptyPatch();
  for (const id of edit.cells) {
    const cell = board.cells.get(id);
    if (cell) patch.cells.set(id, { ...cell, parent: edit.to });
  }
  return patch;
};

const merge: Predictor<"merge"> = (board, edit) => {
  const patch = emptyPatch();
  for (const id of edit.cells) {
    if (id === edit.into) continue;
    const children = board.children(id);
    for (const child of children) patch.cells.set(child, { ...board.cells.get(child)!, parent: edit.into });
    if (children.length === 0) {
      for (const part of board.partsIn(id)) patch.parts.set(part, edit.into);
      for (const face of board.facesOf(id)) if (board.isLand(face)) patch.land.set(face.id, edit.into);
    }
    patch.cells.set(id, null);
  }
  return patch;
};

const lock = (board: Board, edit: Extract<Edit, { kind: "lock" | "unlock" }>, locked: boolean): Patch => {
  const patch = emptyPatch();
  const cells = edit.all ? [...board.cells.keys()] : (edit.cells ?? []);
  for (const id of cells) {
    const cell = board.cells.get(id);
    if (cell) patch.cells.set(id, { ...cell, locked });
  }
  if (edit.all && !locked) for (const id of board.lockedBuildings) patch.locked.set(id, false);
  for (const id of edit.buildings ?? []) patch.locked.set(id, locked);
  return patch;
};

/** A patch to assign, or null where only the server can tell. */
export function predict(board: Board, edit: Edit, fresh: () => Id): Patch | null {
  switch (edit.kind) {
    case "move":
      return move(board, edit, fresh);
    case "new":
      return made(board, edit, fresh);
    case "reparent":
      return reparent(board, edit, fresh);
    case "merge":
      return merge(board, edit, fresh);
    case "lock":
    case "unlock":
      return lock(board, edit, edit.kind === "lock");
    case "dedicate": {
      const cell = board.cells.get(edit.cell);
      if (!cell) return null;
      return { ...emptyPatch(), cells: new Map([[cell.id, { ...cell, dedicated: edit.is_dedicated }]]) };
    }
    case "rename": {
      const cell = board.cells.get(edit.cell);
      if (!cell) return null;
      return { ...emptyPatch(), cells: new Map([[cell.id, { ...cell, name: edit.name || null }]]) };
    }
    case "batch": {
      // Edits of one batch touch different things (that is how this page makes them), so their patches add up.
      const whole = emptyPatch();
      for (const one of edit.edits) {
        const patch = predict(board, one, fresh);
        if (!patch) return null;
        for (const [id, cell] of patch.parts) whole.parts.set(id, cell);
        for (const [id, cell] of patch.land) whole.land.set(id, cell);
        for (const [id, cell] of patch.cells) whole.cells.set(id, cell);
        for (const [id, locked] of patch.locked) whole.locked.set(id, locked);
      }
      return whole;
    }
    default:
      return null;
  }
}

/** From faces under the hand to an edit: what may move, and into which lowest cell. */

import type { Id, Place } from "../api/types";
import type { Board } from "./board";
import type { BoardFace } from "./ground";
import { lengthOf, nearestOn, type Plane, turning } from "./plane";
import { isCellLocked, isHeld } from "./predict";
import type { Edit } from "./types";

/** All faces of the compounds that these faces belong to, and the faces themselves. */
export function wholeCompounds(board: Board, faces: Iterable<BoardFace>): Set<BoardFace> {
  const found = new Set(faces);
  const compounds = new Set<Id>();
  for (const face of found) {
    const compound = face.building === null ? null : board.buildings.get(face.building)?.compound;
    if (compound != null) compounds.add(compound);
  }
  for (const compound of compounds) {
    for (const building of board.compoundBuildings(compound)) {
      for (const face of board.facesOfBuilding(building)) found.add(face);
    }
  }
  return found;
}

/** Whether a face may be moved at all: not locked, nor in a locked cell. */
export const isFree = (board: Board, face: BoardFace): boolean =>
  board.isLand(face)
    ? face.land === null || !isCellLocked(board, face.land)
    : face.parts.some((part) => !isHeld(board, part));

/** The ground of a building that is in no cell: it may come into the cell that its ground lies in, too. */
export const isUnplaced = (board: Board, face: BoardFace): boolean => face.building !== null && board.isLand(face);

interface Given {
  parts: Set<Id>;
  faces: Set<Id>;
}

/**
 * Move faces into a cell of any tier, in one edit.
 *
 * Into a cell that has cells below it each face goes where it has most border, faces that came before it counted;
 * a lowest cell that goes as a whole keeps its name and gets the new parent.
 */
export function moveFaces(board: Board, faces: Iterable<BoardFace>, to: Id): Edit | null {
  const inside = board.facesOf(to);
  const open = new Set(
    [...faces].filter((face) => (!inside.has(face) || isUnplaced(board, face)) && isFree(board, face)),
  );
  if (open.size === 0) return null;
  const lowest = [...board.lowestOf(to)];
  if (lowest.length === 1 && lowest[0] === to) return single(board, open, to);
  const whole = wholeCells(board, open, to);
  const edits: Edit[] = whole.length > 0 ? [{ kind: "reparent", cells: whole, to }] : [];
  for (const cell of whole) for (const face of board.facesOf(cell)) open.delete(face);
  for (const [cell, group] of byNearest(board, open, lowest)) {
    const edit = single(board, group, cell);
    if (edit) edits.push(edit);
  }
  if (edits.length === 0) return null;
  return edits.length === 1 ? edits[0] : { kind: "batch", edits };
}

function single(board: Board, faces: Iterable<BoardFace>, to: Id): Edit | null {
  const given: Given = { parts: new Set(), faces: new Set() };
  for (const face of faces) {
    if (board.isLand(face)) given.faces.add(face.id);
    for (const part of face.parts) if (part > 0 && !isHeld(board, part)) given.parts.add(part);
  }
  if (given.parts.size + given.faces.size === 0) return null;
  return { kind: "move", parts: [...given.parts], faces: [...given.faces], to };
}

function wholeCells(board: Board, faces: ReadonlySet<BoardFace>, to: Id): Id[] {
  const depth = board.cells.get(to)!.depth;
  const cells = new Set([...faces].flatMap((face) => board.cellsOf(face)));
  return [...cells].filter((id) => {
    const cell = board.cells.get(id);
    if (!cell || cell.depth !== depth + 1 || cell.parent === to) return false;
    if (cell.community !== board.cells.get(to)?.community) return false;
    for (const face of board.facesOf(id)) if (!faces.has(face)) return false;
    return true;
  });
}

function byNearest(board: Board, faces: ReadonlySet<BoardFace>, lowest: readonly Id[]): Map<Id, BoardFace[]> {
  const allowed = new Set(lowest);
  const given = new Map<BoardFace, Id>();
  const left = new Set(faces);
  while (left.size > 0) {
    let best: [face: BoardFace, cell: Id, metres: number] | null = null;
    for (const face of left) {
      const border = new Map<Id, number>();
      for (const edge of face.edges) {
        const other = edge.a === face ? edge.b : edge.a;
        const cell = other ? (given.get(other) ?? board.cellsOf(other).find((id) => allowed.has(id))) : undefined;
        if (cell === undefined || (other && left.has(other))) continue;
        border.set(cell, (border.get(cell) ?? 0) + edge.length_m);
      }
      for (const [cell, metres] of border) if (!best || metres > best[2]) best = [face, cell, metres];
    }
    const [face, cell] = best ?? [[...left][0], lowest[0], 0];
    given.set(face, cell);
    left.delete(face);
  }
  const groups = new Map<Id, BoardFace[]>();
  for (const [face, cell] of given) groups.set(cell, [...(groups.get(cell) ?? []), face]);
  return groups;
}

/** What becomes a new cell of the lowest tier. */
export function newFrom(board: Board, faces: Iterable<BoardFace>, parent?: Id): Edit | null {
  const edit = single(
    board,
    [...faces].filter((face) => isFree(board, face)),
    0,
  );
  if (edit?.kind !== "move") return null;
  return { kind: "new", parts: edit.parts ?? [], faces: edit.faces ?? [], ...(parent === undefined ? {} : { parent }) };
}

const MOST_FORESEEN = 400;

/** What a new outline of a cell takes in and lets go, as whole faces (the server splits land along it besides). */
export interface Reshaped {
  come: Set<BoardFace>;
  leave: Set<BoardFace>;
  /** To foresee the figures by; null where nothing goes over, or too much to tell at once. */
  edit: Edit | null;
}

export function reshaped(board: Board, cell: Id, ring: Place[]): Reshaped {
  const own = board.facesOf(cell);
  const community = board.cells.get(cell)?.community;
  const isHere = (id: Id) => board.cells.get(id)?.community === community;
  const inside = new Set(board.facesInRing(ring));
  const come = new Set([...inside].filter((face) => !own.has(face) && board.cellsOf(face).some(isHere)));
  const leave = new Set([...own].filter((face) => !inside.has(face)));
  if (come.size + leave.size > MOST_FORESEEN || leave.size === own.size) return { come, leave, edit: null };
  const mine = new Set([...board.lowestOf(cell), ...wholeUnder(board, come)]);
  const others = board.cellsAt(board.lowest).filter(({ id }) => isHere(id) && !mine.has(id));
  const near = others.map(({ id }) => id);
  const groups = near.length > 0 ? byNearest(board, leave, near) : [];
  const edits = [...groups].flatMap(([to, faces]) => single(board, faces, to) ?? []);
  const taken = moveFaces(board, come, cell);
  if (taken?.kind === "batch") edits.push(...taken.edits);
  else if (taken) edits.push(taken);
  return { come, leave, edit: edits.length > 0 ? { kind: "batch", edits } : null };
}

/** The lowest cells all of whose ground is among some faces: they come as they are. */
function wholeUnder(board: Board, faces: ReadonlySet<BoardFace>): Id[] {
  const cells = new Set([...faces].flatMap((face) => board.cellsOf(face)));
  return [...cells].filter((id) => [...board.facesOf(id)].every((face) => faces.has(face)));
}

const CLOSED_RATIO = 0.15;

/**
 * The outline of a cell after part of its border was drawn anew.
 *
 * A stroke whose ends meet is the whole new outline. Otherwise it takes the place of the shorter way along the old
 * outline between the points nearest to its ends.
 */
export function redrawn(plane: Plane, outline: readonly GeoJSON.Position[], stroke: readonly Place[]): Place[] {
  const [first, last] = [stroke[0], stroke[stroke.length - 1]];
  if (lengthOf(plane, [first, last]) < CLOSED_RATIO * lengthOf(plane, stroke)) return [...stroke, first];
  const ring = (turning(outline as GeoJSON.Position[]) < 0 ? [...outline].reverse() : [...outline]) as Place[];
  const [from, to] = [nearestSegment(plane, ring, first), nearestSegment(plane, ring, last)];
  const ahead = along(ring, from, to);
  const back = along(ring, to, from);
  const isAheadShort = lengthOf(plane, ahead) < lengthOf(plane, back);
  const kept = isAheadShort ? back : [...ahead].reverse();
  return [...stroke, ...kept, first];
}

function nearestSegment(plane: Plane, ring: readonly Place[], place: Place): number {
  let [best, least] = [0, Infinity];
  for (let i = 1; i < ring.length; i++) {
    const [, metres] = nearestOn(plane, place, ring[i - 1], ring[i]);
    if (metres < least) [best, least] = [i, metres];
  }
  return best;
}

/** The corners of a closed ring on the way from one of its segments to another. */
function along(ring: readonly Place[], from: number, to: number): Place[] {
  const found: Place[] = [];
  const corners = ring.length - 1;
  for (let i = from; i % corners !== to % corners; i++) found.push(ring[i % corners]);
  return found;
}

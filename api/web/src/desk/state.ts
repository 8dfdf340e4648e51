/**
 * What is open on the desk: a plan, the board, what is selected, and the edits on their way to the server.
 *
 * An edit shows at once and waits in line; the server's answer replaces what was predicted. A refused one is taken
 * back with the reason. Changes of others come by long poll and go below what is still in line.
 */

import type { ExpressionSpecification } from "maplibre-gl";
import { get, Problem, post } from "../api/client";
import type { Box, Id, Plan, Session } from "../api/types";
import { EMPTY, goToBox, setData, type TownMap } from "../map/town_map";
import { requestId } from "../state/request_id";
import { Value } from "../state/value";
import { ask, type Opened } from "./ahead";
import { Board, type Patch } from "./board";
import type { Ground } from "./ground";
import type { Tell } from "./opening";
import { Outbox, type Unsent } from "./outbox";
import { predict } from "./predict";
import type { Change, Changes, DeskCommunity, DeskTier, DeskView, Edit, Step } from "./types";

export type Tool = "select" | "pick" | "paint" | "lasso" | "cut" | "reshape";
export type Colouring = "cell" | "households" | "compact" | "people" | "change" | "none";

/** Cells of the tier on show, and buildings and pieces of land by their faces. */
export interface Selection {
  cells: readonly Id[];
  faces: readonly Id[];
}

const NOTHING: Selection = { cells: [], faces: [] };

/** How an overlay is drawn; each value may be an expression over the features' properties. */
export interface OverlayStyle {
  fill?: string | ExpressionSpecification;
  opacity?: number | ExpressionSpecification;
  line?: string | ExpressionSpecification;
  width?: number | ExpressionSpecification;
  dash?: number[];
  circle?: string | ExpressionSpecification;
  radius?: number | ExpressionSpecification;
  /** The property whose text stands beside each point. */
  label?: string;
}

/** An edit in line. */
interface Waiting extends Unsent {
  inverse: Patch | null;
  /** Numbers given to cells that only the server can number. */
  made: Id[];
  settle: (change: Change) => void;
  refuse: (reason: Problem) => void;
}

/** An edit that others' changes came before: they are on the board now, and it can be made again on top. */
export interface Conflict {
  edit: Edit;
  changes: Change[];
  problem: Problem;
}

export interface Told {
  /** Cells that are different, or null when everything is. */
  cells: ReadonlySet<Id> | null;
  /** Whether faces came or went. */
  ground: boolean;
}

const WAIT_S = 25;
const RETRY_MS = [500, 1000, 2000, 5000];
const KEPT_CHANGES = 500;
const isPassing = (problem: Problem) => problem.lostNetwork || [429, 502, 503, 504].includes(problem.status);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export class DeskState {
  readonly map = new Value<TownMap | null>(null);
  readonly selection = new Value<Selection>(NOTHING);
  readonly tool = new Value<Tool>("select");
  readonly colouring = new Value<Colouring>("cell");
  /** Depth of the tier on show. */
  readonly depth: Value<number>;
  /** Raised with every change of the board, its own or the server's. */
  readonly revision = new Value(0);
  readonly seq: Value<number>;
  readonly unsent = new Value(0);
  readonly undoStep: Value<Step>;
  readonly redoStep: Value<Step>;
  /** What others did since the page was opened, newest last. */
  readonly others = new Value<readonly Change[]>([]);
  /** All changes heard of since the page was opened, newest last. */
  readonly changes = new Value<readonly Change[]>([]);
  readonly conflict = new Value<Conflict | null>(null);
  readonly tab = new Value<string>("cells");
  /** The last import that the board was read after. */
  readonly town: Value<number>;
  plan: Plan;
  tiers: DeskTier[];
  communities: DeskCommunity[];
  mayEdit: boolean;
  /** Whether nothing at all may move. */
  lockedAll: boolean;
  board: Board;
  /** Households of each cell when the page was opened, to colour what changed since. */
  opening: ReadonlyMap<Id, ReadonlySet<Id>>;
  private readonly line: Waiting[] = [];
  private readonly outbox: Outbox;
  private readonly hearers = new Set<(told: Told) => void>();
  private readonly stop = new AbortController();
  private readonly own = new Set<number>();
  private flight: Promise<void> | null = null;
  private lastMade = 0;
  /** The state of the plan as the last poll told it. */
  private status: string | undefined;

  constructor(
    readonly session: Session,
    view: DeskView,
    ground: Ground,
  ) {
    this.plan = view.plan;
    this.tiers = view.tiers;
    this.communities = view.communities;
    this.mayEdit = view.may_edit;
    this.lockedAll = view.locked_all === true;
    this.board = new Board(view, ground);
    this.opening = partsByCell(this.board);
    this.depth = new Value(view.tiers[0]?.depth ?? 1);
    this.seq = new Value(view.seq);
    this.town = new Value(view.town);
    this.undoStep = new Value(view.undo);
    this.redoStep = new Value(view.redo);
    this.outbox = new Outbox(session.user.username, view.plan.id);
  }

  /** `tell` hears how far the survey is that a plan which was never on the desk waits for; `asked` is what was asked ahead. */
  static async open(
    session: Session,
    plan: Id,
    signal?: AbortSignal,
    tell?: Tell,
    asked?: Promise<Opened>,
  ): Promise<DeskState> {
    const [view, ground] = await (asked ?? ask(plan, signal, tell));
    return new DeskState(session, view, ground);
  }

  /** Send what an earlier page left, and listen to what others do, until `close`. */
  begin(): void {
    for (const left of this.outbox.take()) this.enqueue(left).catch(() => undefined);
    void this.poll();
  }

  close(): void {
    this.stop.abort();
  }

  /** Hear of changes of the board until the function that comes back is called. */
  listen(hear: (told: Told) => void): () => void {
    this.hearers.add(hear);
    return () => this.hearers.delete(hear);
  }

  // What a person does

  /** Show an edit at once and send it. Rejects with the server's refusal after taking it back. */
  apply(edit: Edit): Promise<Change> {
    return this.enqueue({ request_id: requestId(), base: this.seq.value, act: "edits", edit });
  }

  undo(): Promise<Change> {
    return this.enqueue({ request_id: requestId(), base: this.seq.value, act: "undo", edit: null });
  }

  redo(): Promise<Change> {
    return this.enqueue({ request_id: requestId(), base: this.seq.value, act: "redo", edit: null });
  }

  /** Everything anew from the server; edits in line stay in line. */
  async reload(): Promise<void> {
    const [view, ground] = await ask(this.plan.id, this.stop.signal);
    this.plan = view.plan;
    this.mayEdit = view.may_edit;
    this.lockedAll = view.locked_all === true;
    this.tiers = view.tiers;
    this.communities = view.communities;
    this.board = new Board(view, ground);
    this.seq.set(view.seq);
    this.town.set(view.town);
    this.undoStep.set(view.undo);
    this.redoStep.set(view.redo);
    for (const item of this.line) this.perform(item);
    this.tell(null, true);
  }

  /** Show another tier; what is selected of the old one is let go. */
  show(depth: number): void {
    if (depth === this.depth.value) return;
    this.select([], this.selection.value.faces);
    this.depth.set(depth);
  }

  select(cells: readonly Id[], faces: readonly Id[] = []): void {
    this.selection.set({ cells, faces });
  }

  goTo(bbox: Box): void {
    if (this.map.value) goToBox(this.map.value, bbox);
  }

  /** Draw features over the map under a name; null takes them away. */
  overlay(name: string, features: GeoJSON.FeatureCollection | null, style: OverlayStyle = {}): void {
    const map = this.map.value;
    if (!map) {
      const forget = this.map.listen(() => {
        forget();
        this.overlay(name, features, style);
      });
      return;
    }
    const source = `overlay-${name}`;
    if (features && !map.getSource(source)) addOverlay(map, source, style);
    setData(map, source, features ?? EMPTY);
  }

  // The line of edits

  private enqueue(unsent: Unsent): Promise<Change> {
    return new Promise((settle, refuse) => {
      const item: Waiting = { ...unsent, inverse: null, made: [], settle, refuse };
      this.line.push(item);
      this.keepLine();
      this.tell(this.perform(item), false);
      this.send();
    });
  }

  private keepLine(): void {
    this.outbox.keep(this.line.map(({ request_id, base, act, edit }) => ({ request_id, base, act, edit })));
    this.unsent.set(this.line.length);
  }

  /** Show what an edit will do; returns the cells it touches. */
  private perform(item: Waiting): Set<Id> {
    item.inverse = null;
    item.made = [];
    if (!item.edit) return new Set();
    const patch = predict(this.board, item.edit, () => {
      this.lastMade -= 1;
      item.made.push(this.lastMade);
      return this.lastMade;
    });
    if (!patch) return new Set();
    item.inverse = this.board.assign(patch);
    return new Set(item.inverse.cells.keys());
  }

  /** Change the board below what is in line; returns all cells touched by taking the line back and making it again. */
  private beneath(act: () => Iterable<Id>): Set<Id> {
    const touched = new Set<Id>();
    for (const item of [...this.line].reverse()) {
      if (!item.inverse) continue;
      for (const id of item.inverse.cells.keys()) touched.add(id);
      this.board.revert(item.inverse);
      item.inverse = null;
    }
    for (const id of act()) touched.add(id);
    for (const item of this.line) for (const id of this.perform(item)) touched.add(id);
    return touched;
  }

  private send(): void {
    this.flight ??= this.sendAll().finally(() => {
      this.flight = null;
    });
  }

  private async sendAll(): Promise<void> {
    let tries = 0;
    while (this.line.length > 0 && !this.stop.signal.aborted) {
      const item = this.line[0];
      try {
        const { request_id, base, act, edit } = item;
        const change = await post<Change>(
          `/api/v1/plans/${this.plan.id}/${act}`,
          edit ? { request_id, base, ...edit } : { request_id },
        );
        tries = 0;
        await this.acknowledged(item, change);
      } catch (reason) {
        const problem = reason instanceof Problem ? reason : new Problem(-1, "bug", String(reason));
        if (!isPassing(problem)) this.refused(item, problem);
        else await pause(RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
      }
    }
  }

  private async acknowledged(item: Waiting, change: Change): Promise<void> {
    let missed: Change[] = [];
    if (change.seq > this.seq.value + 1) missed = (await this.since(0)).changes.filter(({ seq }) => seq < change.seq);
    this.own.add(change.seq);
    const before = new Set(this.board.cells.keys());
    const made = item.made;
    const cells = this.beneath(() => {
      this.line.splice(this.line.indexOf(item), 1);
      return this.takeAll([...missed, change]);
    });
    this.renumber(
      made,
      change.cells.filter(({ id }) => !before.has(id)).map(({ id }) => id),
    );
    this.keepLine();
    this.tell(
      cells,
      [...missed, change].some(({ ground }) => ground !== null),
    );
    item.settle(change);
  }

  /** Cells shown under numbers of this page have the server's now, in the same order: selections and edits follow. */
  private renumber(made: readonly Id[], given: readonly Id[]): void {
    const byDepth = [...given].sort(
      (a, b) => (this.board.cells.get(a)?.depth ?? 0) - (this.board.cells.get(b)?.depth ?? 0),
    );
    const names = new Map(made.map((id, index) => [id, byDepth[index]]));
    if (made.length === 0 || byDepth.length !== made.length) return;
    const renamed = (id: Id) => names.get(id) ?? id;
    const { cells, faces } = this.selection.value;
    this.selection.set({ cells: cells.map(renamed), faces });
    for (const item of this.line) {
      if (!item.edit) continue;
      item.edit = JSON.parse(JSON.stringify(item.edit), (key, value) =>
        typeof value === "number" && value < 0 && key !== "n" ? renamed(value) : value,
      );
    }
  }

  private refused(item: Waiting, problem: Problem): void {
    const params = (problem.body.params ?? {}) as { changes?: Change[] };
    const changes = (params.changes ?? []).filter(({ seq }) => seq > this.seq.value);
    const isStale = problem.code === "edit.stale";
    const cells = this.beneath(() => {
      this.line.splice(this.line.indexOf(item), 1);
      return isStale ? this.takeAll(changes) : [];
    });
    this.keepLine();
    this.tell(
      cells,
      changes.some(({ ground }) => ground !== null),
    );
    if (isStale && item.edit) this.conflict.set({ edit: item.edit, changes, problem });
    item.refuse(problem);
  }

  // What others do

  private since(wait: number): Promise<Changes> {
    return get<Changes>(`/api/v1/plans/${this.plan.id}/edits`, { since: this.seq.value, wait }, this.stop.signal);
  }

  private async poll(): Promise<void> {
    let tries = 0;
    while (!this.stop.signal.aborted) {
      try {
        const { changes, status, is_gap, town = 0 } = await this.since(tries > 0 ? 0 : WAIT_S);
        tries = 0; // asked without waiting: that the server is back is known at once
        if (is_gap || town > this.town.value) await this.reload();
        if (status !== undefined && this.status !== undefined && status !== this.status) await this.reload();
        this.status = status ?? this.status;
        // The answer to an edit of one's own brings the same change; it goes first, so that nothing shows twice.
        if (this.flight) await this.flight;
        const fresh = changes.filter(({ seq }) => seq > this.seq.value);
        if (fresh.length === 0) continue;
        const cells = this.beneath(() => this.takeAll(fresh));
        this.tell(
          cells,
          fresh.some(({ ground }) => ground !== null),
        );
      } catch {
        if (!this.stop.signal.aborted) await pause(RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)]);
      }
    }
  }

  private takeAll(changes: readonly Change[]): Set<Id> {
    const touched = new Set<Id>();
    const fresh = changes.filter(({ seq }) => seq > this.seq.value);
    for (const change of fresh) {
      for (const id of this.board.apply(change)) touched.add(id);
      this.lockedAll = change.locked_all ?? this.lockedAll;
      this.seq.set(change.seq);
    }
    const last = fresh.filter(({ seq }) => this.own.has(seq)).at(-1);
    if (last) {
      this.undoStep.set(last.undo);
      this.redoStep.set(last.redo);
    }
    if (fresh.length > 0) this.changes.set([...this.changes.value, ...fresh].slice(-KEPT_CHANGES));
    const foreign = fresh.filter(({ seq }) => !this.own.has(seq));
    if (foreign.length > 0) this.others.set([...this.others.value, ...foreign].slice(-KEPT_CHANGES));
    return touched;
  }

  private tell(cells: ReadonlySet<Id> | null, ground: boolean): void {
    const { cells: chosen, faces } = this.selection.value;
    const left = chosen.filter((id) => this.board.cells.has(id));
    const standing = faces.filter((id) => this.board.faces.has(id));
    if (left.length < chosen.length || standing.length < faces.length) this.select(left, standing);
    for (const hear of [...this.hearers]) hear({ cells, ground });
    this.revision.set(this.revision.value + 1);
  }
}

function partsByCell(board: Board): Map<Id, Set<Id>> {
  const found = new Map<Id, Set<Id>>();
  for (const cell of board.cells.keys()) found.set(cell, new Set(board.partsIn(cell)));
  return found;
}

function addOverlay(map: TownMap, source: string, style: OverlayStyle): void {
  map.addSource(source, { type: "geojson", data: EMPTY });
  if (style.fill) {
    const paint = { "fill-color": style.fill, "fill-opacity": style.opacity ?? 0.4 };
    map.addLayer({ id: `${source}-fill`, type: "fill", source, filter: ["==", ["geometry-type"], "Polygon"], paint });
  }
  if (style.line) {
    const dash = style.dash ? { "line-dasharray": style.dash } : {};
    const paint = { "line-color": style.line, "line-width": style.width ?? 2, ...dash };
    map.addLayer({ id: `${source}-line`, type: "line", source, layout: { "line-join": "round" }, paint });
  }
  if (style.circle) {
    const paint = {
      "circle-color": style.circle,
      "circle-radius": style.radius ?? 7,
      "circle-stroke-color": "#ffffff",
      "circle-stroke-width": 2,
    };
    map.addLayer({ id: `${source}-circle`, type: "circle", source, filter: ["==", ["geometry-type"], "Point"], paint });
  }
  if (style.label) {
    map.addLayer({
      id: `${source}-label`,
      type: "symbol",
      source,
      layout: { "text-field": ["get", style.label], "text-size": 13, "text-offset": [0, 1.2], "text-anchor": "top" },
      paint: { "text-color": "#1c2b39", "text-halo-color": "#ffffff", "text-halo-width": 1.6 },
    });
  }
}

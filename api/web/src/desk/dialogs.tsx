/** Questions that some acts ask first: into which grid, into how many, at which staircases or floors, what name. */

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Id } from "../api/types";
import { number, t, word } from "../i18n";
import { Dialog } from "../panels/dialog";
import { FieldRow, Segments } from "../panels/field_row";
import { Icon } from "../panels/icons";
import { failed } from "../panels/notice";
import { useValue } from "../state/value";
import { act, asked, COMMANDS, chosenBuilding, chosenFaces, TOOLS } from "./commands";
import type { BoardFace } from "./ground";
import { toldOf } from "./history/history_panel";
import { isUnplaced, moveFaces } from "./moves";
import { buildingName, cellName } from "./names";
import { predict } from "./predict";
import type { DeskState } from "./state";
import type { DeskCell, Edit } from "./types";

interface Props {
  desk: DeskState;
}

const close = () => asked.set(null);
const FORM = "desk-question";

interface QuestionProps {
  title: string;
  /** What the main answer does. */
  label: string;
  ready?: boolean;
  onDo: () => void;
  children: ComponentChildren;
}

/** A question whose main answer is also Enter in its form. */
function Question({ title, label, ready = true, onDo, children }: QuestionProps) {
  const foot = (
    <>
      <button type="button" class="button" onClick={close}>
        {t("act.cancel")}
      </button>
      <button type="submit" form={FORM} class="button button-main" disabled={!ready}>
        {label}
      </button>
    </>
  );
  return (
    <Dialog title={title} onClose={close} foot={foot}>
      <form
        class="form"
        id={FORM}
        onSubmit={(event) => {
          event.preventDefault();
          onDo();
        }}
      >
        {children}
      </form>
    </Dialog>
  );
}

/** A set with an item more, or less. */
function toggled<T>(set: ReadonlySet<T>, item: T): ReadonlySet<T> {
  const next = new Set(set);
  if (!next.delete(item)) next.add(item);
  return next;
}

interface Item {
  key: string;
  label: string;
  faces: BoardFace[];
}

/** Buildings and pieces of land as a list, by name: what the dialog moves is ticked in it. */
function itemsOf(desk: DeskState, faces: Iterable<BoardFace>): Item[] {
  const { buildings, compounds } = desk.board;
  const items = new Map<string, Item>();
  for (const face of faces) {
    const building = face.building === null ? undefined : buildings.get(face.building);
    const key = building ? `b${building.id}` : `f${face.id}`;
    const known = items.get(key);
    if (known) {
      known.faces.push(face);
      continue;
    }
    const compound = building?.compound == null ? undefined : compounds.get(building.compound);
    const { households } = desk.board.livingOn([face]);
    const words = building
      ? `${compound ? `${compound.name} ` : ""}${buildingName(building)} · ${number(households)} ${t("unit.households")}`
      : t("desk.land_of", { area: number(face.area_m2) });
    items.set(key, { key, label: words, faces: [face] });
  }
  return [...items.values()].sort((a, b) => (a.key[0] + a.label < b.key[0] + b.label ? -1 : 1));
}

/** The edit that brings ticked buildings into a cell; with none ticked, whole cells go under another parent. */
function moveTo(desk: DeskState, faces: readonly BoardFace[], to: DeskCell): Edit | null {
  if (faces.length > 0) return moveFaces(desk.board, faces, to.id);
  const cells = desk.selection.value.cells.filter((id) => desk.board.cells.get(id)?.parent !== to.id && id !== to.id);
  return cells.length > 0 ? { kind: "reparent", cells, to: to.id } : null;
}

/** Cells that may take the selection: neighbours first, by name. */
function targets(desk: DeskState, faces: readonly BoardFace[], depth: number): DeskCell[] {
  const { board } = desk;
  const near = new Map<Id, number>();
  const from = new Set(faces.map((face) => board.cellAt(face, depth)));
  for (const id of from) {
    if (id === null) continue;
    for (const [cell, metres] of board.neighbours(id)) near.set(cell, (near.get(cell) ?? 0) + metres);
  }
  // What is in no cell yet may come into the one that it stands in, and most likely does.
  const homes = new Set(faces.filter((face) => isUnplaced(board, face)).map((face) => board.cellAt(face, depth)));
  for (const home of homes) if (home !== null) near.set(home, Infinity);
  const rank = (cell: DeskCell) => Math.min(1e9, near.get(cell.id) ?? 0);
  const communities = new Set([...from].map((id) => (id === null ? null : board.cells.get(id)?.community)));
  const [first] = from;
  const only = from.size === 1 && !homes.has(first) ? first : null;
  return board
    .cellsAt(depth)
    .filter((cell) => communities.has(cell.community) && cell.id !== only)
    .sort((a, b) => rank(b) - rank(a) || (a.code < b.code ? -1 : 1));
}

interface ItemListProps {
  label: string;
  items: Item[];
  ticked: ReadonlySet<string>;
  onTick: (key: string) => void;
}

function ItemList({ label, items, ticked, onTick }: ItemListProps) {
  return (
    <fieldset>
      <legend>{label}</legend>
      <div class="checks checks-wide">
        {items.map(({ key, label }) => (
          <label key={key}>
            <input type="checkbox" checked={ticked.has(key)} onChange={() => onTick(key)} />
            {label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function MoveDialog({ desk }: Props) {
  const { board } = desk;
  const picked = useMemo(() => chosenFaces(desk), [desk]);
  const within = useMemo(
    () => (picked.length > 0 ? picked : desk.selection.value.cells.flatMap((id) => [...board.facesOf(id)])),
    [desk],
  );
  const items = useMemo(() => itemsOf(desk, within), [desk]);
  const [ticked, setTicked] = useState<ReadonlySet<string>>(
    new Set(picked.length > 0 ? items.map(({ key }) => key) : []),
  );
  const [words, setWords] = useState("");
  const [chosen, setChosen] = useState<Id | null>(null);
  const faces = items.filter(({ key }) => ticked.has(key)).flatMap((item) => item.faces);
  const isWhole = faces.length === 0;
  const depth = isWhole ? desk.depth.value - 1 : desk.depth.value;
  const found = useMemo(() => targets(desk, within, depth), [desk, depth]);
  const shown = found.filter((cell) =>
    `${cell.code} ${cellName(board, cell)}`.toLowerCase().includes(words.toLowerCase()),
  );
  const target = shown.find((cell) => cell.id === chosen) ?? shown[0];
  const edit = target ? moveTo(desk, faces, target) : null;
  const patch = edit && predict(board, edit, () => -1);
  const after = patch && target ? board.preview(patch).find(({ before }) => before.id === target.id)?.after : null;
  const tick = (key: string) => setTicked(toggled(ticked, key));
  const go = () => {
    if (!edit) return;
    act(desk, edit);
    desk.select(desk.selection.value.cells, []);
    close();
  };
  return (
    <Question title={t("desk.move_title")} label={t("desk.move_do")} ready={!!edit} onDo={go}>
      <ItemList label={t("desk.move_what", { n: ticked.size })} items={items} ticked={ticked} onTick={tick} />
      {isWhole && depth > 0 && <p>{t("desk.move_whole", { n: desk.selection.value.cells.length })}</p>}
      <FieldRow label={t("desk.move_search")}>
        <input type="search" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
      </FieldRow>
      <FieldRow label={t("desk.move_to")}>
        <select
          size={6}
          value={target ? String(target.id) : ""}
          onChange={(event) => setChosen(Number(event.currentTarget.value))}
        >
          {shown.map((cell) => (
            <option key={cell.id} value={String(cell.id)}>
              {`${cellName(board, cell)} · ${number(cell.households)} ${t("unit.households")}`}
            </option>
          ))}
        </select>
      </FieldRow>
      {target && after && (
        <p role="status">
          {t("desk.becomes", {
            cell: cellName(board, target),
            before: number(target.households),
            after: number(after.households),
            state: word("band", after.band_state),
          })}
        </p>
      )}
    </Question>
  );
}

/** Buildings of the chosen cells picked from a list: what a click on the map does, for keyboard and screen reader. */
function ItemsDialog({ desk }: Props) {
  const { cells, faces } = desk.selection.value;
  const items = useMemo(() => itemsOf(desk, new Set(cells.flatMap((id) => [...desk.board.facesOf(id)]))), [desk]);
  const picked = new Set(faces);
  const [ticked, setTicked] = useState<ReadonlySet<string>>(
    new Set(items.filter((item) => item.faces.every(({ id }) => picked.has(id))).map(({ key }) => key)),
  );
  const [words, setWords] = useState("");
  const wanted = words.trim().toLowerCase();
  const shown = items.filter(({ label }) => label.toLowerCase().includes(wanted));
  const tick = (key: string) => setTicked(toggled(ticked, key));
  const go = () => {
    const chosen = items.filter(({ key }) => ticked.has(key));
    desk.select(
      cells,
      chosen.flatMap((item) => item.faces.map(({ id }) => id)),
    );
    close();
  };
  return (
    <Question title={t("desk.items_title")} label={t("desk.items_do")} onDo={go}>
      <FieldRow label={t("desk.items_search")}>
        <input type="search" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
      </FieldRow>
      <ItemList label={t("desk.items_what", { n: ticked.size })} items={shown} ticked={ticked} onTick={tick} />
    </Question>
  );
}

const MOST_PIECES = 20;

function SplitDialog({ desk }: Props) {
  const [id] = desk.selection.value.cells;
  const cell = desk.board.cells.get(id);
  const tier = cell && desk.board.tier(cell.depth);
  const usual = tier?.target ?? tier?.high ?? null;
  const [n, setN] = useState(Math.max(2, Math.min(MOST_PIECES, Math.round((cell?.households ?? 0) / (usual || 1e9)))));
  if (!cell) return null;
  const go = () => {
    act(desk, { kind: "split", cell: id, n });
    close();
  };
  return (
    <Question
      title={t("desk.split_title", { cell: cellName(desk.board, cell) })}
      label={t("desk.split_do")}
      ready={n >= 2 && n <= MOST_PIECES}
      onDo={go}
    >
      <FieldRow label={t("desk.split_n")} hint={t("desk.split_each", { n: number(cell.households / Math.max(1, n)) })}>
        <input
          type="number"
          min={2}
          max={MOST_PIECES}
          value={n}
          onInput={(event) => setN(Number(event.currentTarget.value))}
        />
      </FieldRow>
    </Question>
  );
}

function BreakDialog({ desk }: Props) {
  const id = chosenBuilding(desk);
  const building = id === null ? undefined : desk.board.buildings.get(id);
  const units = building?.units ?? 1;
  const floors = building?.floors ?? 1;
  const [by, setBy] = useState<"units" | "floors">(units > 1 ? "units" : "floors");
  const [cuts, setCuts] = useState<ReadonlySet<number>>(new Set());
  if (!building || id === null) return null;
  const most = by === "units" ? units : floors;
  const places = Array.from({ length: Math.max(0, most - 1) }, (_, i) => i + 1);
  const toggle = (place: number) => setCuts(toggled(cuts, place));
  const go = () => {
    act(desk, { kind: "break", building: id, by, cuts: [...cuts].sort((a, b) => a - b) });
    desk.select(desk.selection.value.cells, []);
    close();
  };
  return (
    <Question
      title={t("desk.break_title", { building: buildingName(building) })}
      label={t("desk.break_do")}
      ready={cuts.size > 0}
      onDo={go}
    >
      <p>
        {t("desk.break_has", {
          households: number(building.households),
          units: number(units),
          floors: number(floors),
        })}
      </p>
      <Segments
        label={t("desk.break_by")}
        value={by}
        onPick={(value) => {
          setBy(value);
          setCuts(new Set());
        }}
        choices={[
          { value: "units", label: t("desk.break_units") },
          { value: "floors", label: t("desk.break_floors") },
        ]}
      />
      {places.length === 0 ? (
        <p class="lack">{t("desk.break_none")}</p>
      ) : (
        <fieldset>
          <legend>{by === "units" ? t("desk.break_after_unit") : t("desk.break_after_floor")}</legend>
          <div class="checks">
            {places.map((place) => (
              <label key={`${by} ${place}`}>
                <input type="checkbox" checked={cuts.has(place)} onChange={() => toggle(place)} />
                {`${place} | ${place + 1}`}
              </label>
            ))}
          </div>
        </fieldset>
      )}
    </Question>
  );
}

function RenameDialog({ desk }: Props) {
  const [id] = desk.selection.value.cells;
  const cell = desk.board.cells.get(id);
  const [name, setName] = useState(cell?.name ?? "");
  if (!cell) return null;
  const go = () => {
    act(desk, { kind: "rename", cell: id, name: name.trim() });
    close();
  };
  return (
    <Question title={t("desk.rename_title", { cell: cell.code })} label={t("desk.rename_do")} onDo={go}>
      <FieldRow label={t("desk.rename_name")}>
        <input value={name} maxLength={60} onInput={(event) => setName(event.currentTarget.value)} />
      </FieldRow>
    </Question>
  );
}

const OTHER_KEYS: readonly [key: string, name: string][] = [
  ["Ctrl+Z", "undo"],
  ["Ctrl+Y", "redo"],
  ["Esc", "escape"],
  ["[ ]", "brush"],
  ["Shift+K", "lock_all"],
  ["↑ ↓ Enter", "rows"],
  ["H", "households"],
  ["1 2 3", "tier"],
  ["Space", "pan"],
  ["?", "help"],
];

function HelpDialog() {
  const rows = [
    ...TOOLS.map(({ key, tool }) => [key.toUpperCase(), word("desk_tool", tool), word("desk_tool_hint", tool)]),
    ...COMMANDS.map(({ key, name }) => [key.toUpperCase(), word("desk_act", name), ""]),
    ...OTHER_KEYS.map(([key, name]) => [key, word("desk_key", name), ""]),
  ];
  return (
    <Dialog title={t("desk.help_title")} onClose={close}>
      <table class="desk-keys">
        <tbody>
          {rows.map(([key, name, hint]) => (
            <tr key={key}>
              <td>
                <kbd>{key}</kbd>
              </td>
              <th scope="row">{name}</th>
              <td>{hint}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  );
}

/** An edit that others were quicker than: theirs is on the map now, and one's own can be made again on top. */
function ConflictDialog({ desk }: Props) {
  const conflict = useValue(desk.conflict);
  if (!conflict) return null;
  const drop = () => desk.conflict.set(null);
  const again = () => {
    drop();
    desk.apply(conflict.edit).catch(failed);
  };
  const foot = (
    <>
      <button type="button" class="button" onClick={drop}>
        {t("desk.conflict_drop")}
      </button>
      <button type="button" class="button button-main" onClick={again}>
        <Icon name="refresh" />
        {t("desk.conflict_again")}
      </button>
    </>
  );
  return (
    <Dialog title={t("desk.conflict_title")} onClose={drop} foot={foot}>
      <p>{conflict.problem.detail || t("desk.conflict_text")}</p>
      <ul class="desk-conflict">
        {conflict.changes.map((change) => (
          <li key={change.seq}>
            <strong>{change.actor ?? t("desk.somebody")}</strong>: {toldOf(change)}
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

export function DeskDialogs({ desk }: Props) {
  const what = useValue(asked);
  return (
    <>
      {what === "move" && <MoveDialog desk={desk} />}
      {what === "split" && <SplitDialog desk={desk} />}
      {what === "break" && <BreakDialog desk={desk} />}
      {what === "rename" && <RenameDialog desk={desk} />}
      {what === "items" && <ItemsDialog desk={desk} />}
      {what === "help" && <HelpDialog />}
      <ConflictDialog desk={desk} />
    </>
  );
}

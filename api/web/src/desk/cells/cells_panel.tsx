import type { RefObject } from "preact";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Id } from "../../api/types";
import { named, number, t, useLanguage, word } from "../../i18n";
import { Icon } from "../../panels/icons";
import { Empty } from "../../panels/states";
import { useValue } from "../../state/value";
import { compactness } from "../board";
import { cellName } from "../names";
import type { DeskState } from "../state";
import type { DeskCell, DeskTier } from "../types";

type Column = "code" | "households" | "buildings" | "compact" | "people";
/** Rows that are laid out at first, and each time the end of them comes near. */
const ROWS_AT_ONCE = 60;
const NEAR_END_PX = 800;
/** So far down the row of a cell that is chosen on the map is looked for: each row is compared with every edit. */
const ROWS_TO_CHOSEN = 300;
const COLUMNS: readonly Column[] = ["code", "households", "buildings", "compact", "people"];

const measure: Record<Exclude<Column, "code">, (cell: DeskCell) => number> = {
  households: (cell) => cell.households,
  buildings: (cell) => cell.buildings,
  compact: compactness,
  people: (cell) => cell.people,
};

/** Households of a cell against the band of its tier: the bar is its count, the box the band. */
function BandBar({ cell, tier }: { cell: DeskCell; tier: DeskTier | undefined }) {
  const high = tier?.high ?? tier?.target ?? null;
  if (!tier || high === null) return null;
  const whole = high * 1.6;
  const share = (value: number) => `${Math.min(100, (value / whole) * 100)}%`;
  return (
    <span class={`band-bar band-bar-${cell.band_state}`} aria-hidden="true">
      <span class="band-bar-band" style={{ left: share(tier.low ?? 0), right: `calc(100% - ${share(high)})` }} />
      <span class="band-bar-count" style={{ width: share(cell.households) }} />
    </span>
  );
}

interface RowProps {
  cell: DeskCell;
  /** Its number in the table. */
  index: number;
  name: string;
  tier: DeskTier | undefined;
  chosen: boolean;
  reachable: boolean;
  onPick: (cell: DeskCell, more: boolean) => void;
}

function Row({ cell, index, name, tier, chosen, reachable, onPick }: RowProps) {
  const language = useLanguage();
  const row = useRef<HTMLTableRowElement>(null);
  useEffect(() => {
    if (chosen) row.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  // The same element again is not compared again: of hundreds of rows a stroke changes two or three.
  return useMemo(
    () => (
      <tr
        ref={row}
        data-cell={cell.id}
        aria-rowindex={index}
        aria-selected={chosen}
        tabIndex={reachable ? 0 : -1}
        onClick={(event) => onPick(cell, event.shiftKey || event.ctrlKey || event.metaKey)}
      >
        <th scope="row">
          <span class="code">{name}</span>
          {cell.locked && (
            <span class="mark" title={t("desk.locked")}>
              <Icon name="lock" size={14} />
              <span class="read-only">{t("desk.locked")}</span>
            </span>
          )}
          {cell.dedicated && <span class="mark">{t("desk.dedicated_short")}</span>}
          {cell.pieces > 1 && <span class="mark mark-bad">{t("desk.in_pieces", { n: cell.pieces })}</span>}
        </th>
        <td class="numeric">
          <span class={`sign sign-${cell.band_state}`}>{number(cell.households)}</span>
          <span class="read-only">{word("band", cell.band_state)}</span>
          <BandBar cell={cell} tier={tier} />
        </td>
        <td class="numeric">{number(cell.buildings)}</td>
        <td class="numeric">{number(compactness(cell), 2)}</td>
        <td class="numeric">{cell.people === 0 ? "–" : number(cell.people)}</td>
      </tr>
    ),
    [cell, index, name, tier, chosen, reachable, onPick, language],
  );
}

/** How many rows are laid out: more when one scrolls to their end, or asks for what lies further. */
function useRows(end: RefObject<HTMLElement | null>): { most: number; reach: (index: number) => void } {
  const [most, setMost] = useState(ROWS_AT_ONCE);
  useEffect(() => {
    const root = end.current?.closest(".side-body");
    const near = new IntersectionObserver(
      ([{ isIntersecting }]) => isIntersecting && setMost((now) => now + ROWS_AT_ONCE),
      { root, rootMargin: `${NEAR_END_PX}px` },
    );
    if (end.current) near.observe(end.current);
    return () => near.disconnect();
  }, [most]);
  const reach = useCallback((index: number) => setMost((now) => Math.max(now, index + ROWS_AT_ONCE)), []);
  return { most, reach };
}

/** The cells of the tier on show; rows and map are one selection. Arrows walk, Enter chooses, Space adds. */
export function CellsPanel({ desk }: { desk: DeskState }) {
  useValue(desk.revision);
  const depth = useValue(desk.depth);
  const { cells: chosen } = useValue(desk.selection);
  const [order, setOrder] = useState<Column>("code");
  const [falling, setFalling] = useState(false);
  const [words, setWords] = useState("");
  const [at, setAt] = useState<Id | null>(null);
  const body = useRef<HTMLTableSectionElement>(null);
  const goal = useRef<Id | null>(null);
  const tier = desk.board.tier(depth);
  const revision = desk.revision.value;
  const rows = useMemo(() => {
    const wanted = words.trim().toLowerCase();
    const found = desk.board
      .cellsAt(depth)
      .filter((cell) => !wanted || `${cell.code} ${cellName(desk.board, cell)}`.toLowerCase().includes(wanted));
    const sign = falling ? -1 : 1;
    const by = order === "code" ? null : measure[order];
    return found.sort((a, b) => sign * ((by ? by(a) - by(b) : 0) || (a.code < b.code ? -1 : 1)));
  }, [desk, depth, words, order, falling, revision]);
  const end = useRef<HTMLDivElement>(null);
  const { most, reach } = useRows(end);
  const last = rows.slice(0, ROWS_TO_CHOSEN).findLastIndex((cell) => chosen.includes(cell.id));
  const shown = rows.slice(0, Math.max(most, last + 1));
  const first = shown.some((cell) => cell.id === at)
    ? at
    : (shown.find((cell) => chosen.includes(cell.id)) ?? shown[0])?.id;

  useLayoutEffect(() => {
    if (goal.current === null) return;
    body.current?.querySelector<HTMLElement>(`[data-cell="${goal.current}"]`)?.focus();
    goal.current = null;
  });

  const pick = useCallback(
    (cell: DeskCell, more: boolean) => {
      setAt(cell.id);
      const { cells } = desk.selection.value;
      const others = cells.filter((id) => id !== cell.id);
      desk.select(more ? (others.length < cells.length ? others : [...cells, cell.id]) : [cell.id]);
      if (!more) desk.goTo(cell.bbox);
    },
    [desk],
  );

  const walk = (event: KeyboardEvent) => {
    const index = shown.findIndex((cell) => cell.id === first);
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined && rows[to]) {
      setAt(rows[to].id);
      reach(to);
      goal.current = rows[to].id;
    } else if ((event.key === "Enter" || event.key === " ") && shown[index]) pick(shown[index], event.key === " ");
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  if (desk.board.cellsAt(depth).length === 0) return <Empty icon="grid">{t("cells.none")}</Empty>;
  return (
    <div class="cell-table desk-cells">
      <input
        type="search"
        placeholder={t("cells.search")}
        aria-label={t("cells.search")}
        value={words}
        onInput={(event) => setWords(event.currentTarget.value)}
      />
      <table aria-label={named(tier)} aria-rowcount={rows.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {COLUMNS.map((column) => (
              <th
                key={column}
                scope="col"
                class={column === "code" ? "" : "numeric"}
                aria-sort={order === column ? (falling ? "descending" : "ascending") : "none"}
              >
                <button
                  type="button"
                  class="sort"
                  onClick={() => {
                    setFalling(order === column ? !falling : column !== "code");
                    setOrder(column);
                  }}
                >
                  {word("desk_column", column)}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={walk}>
          {shown.map((cell, index) => (
            <Row
              key={cell.id}
              cell={cell}
              index={index + 2}
              name={cellName(desk.board, cell)}
              tier={tier}
              chosen={chosen.includes(cell.id)}
              reachable={cell.id === first}
              onPick={pick}
            />
          ))}
        </tbody>
      </table>
      <div ref={end} />
    </div>
  );
}

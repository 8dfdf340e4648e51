import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Cell, Id } from "../api/types";
import { number, t, word } from "../i18n";
import { communityName } from "../state/places";
import { Empty } from "./states";

const ROWS_SHOWN = 400;

interface Props {
  cells: readonly Cell[];
  chosen: Id | null;
  onPick: (cell: Cell) => void;
}

/** The cells of a tier as rows; the row chosen here is the cell chosen on the map. */
export function CellTable({ cells, chosen, onPick }: Props) {
  const [words, setWords] = useState("");
  const [order, setOrder] = useState<"code" | "households">("code");
  const row = useRef<HTMLTableRowElement>(null);
  const rows = useMemo(() => {
    const wanted = words.trim().toLowerCase();
    const found = cells.filter(
      (cell) =>
        !wanted || `${cell.code} ${cell.name ?? ""} ${cell.community_name ?? ""}`.toLowerCase().includes(wanted),
    );
    return order === "households" ? [...found].sort((a, b) => b.households - a.households) : found;
  }, [cells, words, order]);
  useEffect(() => row.current?.scrollIntoView({ block: "nearest" }), [chosen]);
  if (cells.length === 0) return <Empty icon="grid">{t("cells.none")}</Empty>;
  return (
    <div class="cell-table">
      <input
        type="search"
        placeholder={t("cells.search")}
        aria-label={t("cells.search")}
        value={words}
        onInput={(event) => setWords(event.currentTarget.value)}
      />
      <table>
        <thead>
          <tr>
            <th scope="col" aria-sort={order === "code" ? "ascending" : "none"}>
              <button type="button" class="sort" onClick={() => setOrder("code")}>
                {t("cells.code")}
              </button>
            </th>
            <th scope="col">{t("cells.community")}</th>
            <th scope="col" class="numeric" aria-sort={order === "households" ? "descending" : "none"}>
              <button type="button" class="sort" onClick={() => setOrder("households")}>
                {t("cells.households")}
              </button>
            </th>
            <th scope="col">{t("cells.state")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, ROWS_SHOWN).map((cell) => (
            <tr key={cell.id} ref={cell.id === chosen ? row : undefined} aria-selected={cell.id === chosen}>
              <td>
                <button type="button" class="row-pick code" onClick={() => onPick(cell)}>
                  {cell.code}
                </button>
              </td>
              <td>{communityName(cell.community_id, cell.community_name)}</td>
              <td class="numeric">{number(cell.households)}</td>
              <td>
                <span class={`chip chip-${cell.state}`}>{word("band", cell.state)}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > ROWS_SHOWN && <p class="lack">{t("cells.more", { n: rows.length - ROWS_SHOWN })}</p>}
    </div>
  );
}

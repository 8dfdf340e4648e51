/** What becomes of each old cell: its shares in the new ones, which sum to a hundred per cent as they are shown. */

import { useState } from "preact/hooks";
import { number, t, word } from "../../i18n";
import { Segments } from "../../panels/field_row";
import { Icon } from "../../panels/icons";
import { Empty } from "../../panels/states";
import type { DeskState } from "../state";
import { nameOfCode } from "./names";
import { colourOf } from "./overlay";
import type { LineageEdge } from "./types";

const SHOWN = 60;
type Side = "old" | "new";

const share = (percent: number) => `${number(percent, 2)} %`;

interface LineProps {
  desk: DeskState;
  edges: LineageEdge[];
  side: Side;
  onGo: (edge: LineageEdge) => void;
}

function Line({ desk, edges, side, onGo }: LineProps) {
  const other: Side = side === "old" ? "new" : "old";
  const percent = (edge: LineageEdge) => (side === "old" ? edge.old_percent : edge.new_percent);
  const code = edges[0][side] as string;
  const sorted = [...edges].sort((a, b) => percent(b) - percent(a));
  return (
    <section class="lineage" data-lineage={code} aria-label={nameOfCode(desk, code)}>
      <p class="lineage-head">
        <strong class="code">{nameOfCode(desk, code)}</strong>
        <button type="button" class="button-quiet" onClick={() => onGo(sorted[0])}>
          <Icon name="target" size={18} />
          {t("act.go_to")}
        </button>
      </p>
      <div class="share-bar" aria-hidden="true">
        {sorted.map((edge) => (
          <span key={edge[other]} style={{ width: `${percent(edge)}%`, background: colourOf(edge[other]) }} />
        ))}
      </div>
      <ul>
        {sorted.map((edge) => (
          <li key={edge[other]}>
            <i style={{ background: colourOf(edge[other]) }} aria-hidden="true" />
            <span>
              <span class="code">{nameOfCode(desk, edge[other])}</span>{" "}
              <span class="compare-soft">{word("compare_kind", edge.kind)}</span>
            </span>
            <span class="compare-soft">{t("propose.households", { n: number(edge.households) })}</span>
            <strong class="numeric">{share(percent(edge))}</strong>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface Props {
  desk: DeskState;
  edges: LineageEdge[];
  onGo: (edge: LineageEdge) => void;
}

export function LineageView({ desk, edges, onGo }: Props) {
  const [side, setSide] = useState<Side>("old");
  const [most, setMost] = useState(SHOWN);
  const by = new Map<string, LineageEdge[]>();
  for (const edge of edges) {
    const code = edge[side];
    if (code !== null) by.set(code, [...(by.get(code) ?? []), edge]);
  }
  const changed = [...by].filter(([, own]) => own.some(({ kind }) => kind !== "keep"));
  return (
    <>
      <Segments
        label={t("compare.lineage")}
        value={side}
        onPick={setSide}
        choices={[
          { value: "old", label: t("compare.from_old") },
          { value: "new", label: t("compare.from_new") },
        ]}
      />
      {changed.length === 0 && <Empty icon="check">{t("compare.nothing_changes")}</Empty>}
      {changed.slice(0, most).map(([code, own]) => (
        <Line key={`${side}${code}`} desk={desk} edges={own} side={side} onGo={onGo} />
      ))}
      {changed.length > most && (
        <button type="button" class="button" onClick={() => setMost(most + SHOWN)}>
          {t("compare.more", { n: changed.length - most })}
        </button>
      )}
      <p class="compare-soft">{t("compare.unchanged", { n: by.size - changed.length })}</p>
    </>
  );
}

/** Whom a change concerns: people who answer for what moves, open incidents, posts. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { language, named, number, t, word } from "../../i18n";
import { Icon } from "../../panels/icons";
import type { DeskState } from "../state";
import { nameOfCode } from "./names";
import type { Comparison, MovedIncident, MovedPair, MovedPost, Person } from "./types";

const SHOWN = 40;
const NEAR_DEGREES = 0.0012;

function Listed<T>(props: {
  title: string;
  items: T[];
  row: (item: T) => ComponentChildren;
  onGo?: (item: T) => void;
}) {
  const { title, items, row, onGo } = props;
  const [most, setMost] = useState(SHOWN);
  if (items.length === 0) return null;
  return (
    <details class="propose-notes">
      <summary>{title}</summary>
      <ul class="compare-list">
        {items.slice(0, most).map((item, index) => (
          <li key={index}>
            <div>{row(item)}</div>
            {onGo && (
              <button type="button" class="button-bare" aria-label={t("act.go_to")} onClick={() => onGo(item)}>
                <Icon name="target" size={18} />
              </button>
            )}
          </li>
        ))}
      </ul>
      {items.length > most && (
        <button type="button" class="button" onClick={() => setMost(most + SHOWN)}>
          {t("compare.more", { n: items.length - most })}
        </button>
      )}
    </details>
  );
}

const way = (desk: DeskState, from: string | null, to: string | null) => (
  <span class="code">
    {nameOfCode(desk, from)} → {nameOfCode(desk, to)}
  </span>
);

const people = (held: Person[]) => (held.length > 0 ? held.map(({ name }) => name).join("、") : t("compare.nobody"));

function pairRow(desk: DeskState, pair: MovedPair) {
  const sums = [
    t("propose.households", { n: number(pair.households) }),
    t("compare.buildings", { n: number(pair.buildings) }),
    ...(pair.residents === null ? [] : [t("compare.residents", { n: number(pair.residents) })]),
  ];
  return (
    <>
      <p>
        {way(desk, pair.from_cell, pair.to_cell)} {sums.join(" · ")}
      </p>
      <p class="compare-soft">
        {people(pair.before)} → {people(pair.after)}
      </p>
    </>
  );
}

function incidentRow(desk: DeskState, item: MovedIncident) {
  return (
    <>
      <p>{item.title}</p>
      <p class="compare-soft">
        {language.value === "en" ? (item.category_en ?? item.category_zh) : item.category_zh} ·{" "}
        {word("status", item.status)} · {way(desk, item.from_cell, item.to_cell)}
      </p>
    </>
  );
}

function postRow(desk: DeskState, item: MovedPost) {
  return (
    <>
      <p>
        {item.name} · {named({ name_zh: item.post_zh, name_en: item.post_en })}
      </p>
      <p class="compare-soft">
        {way(desk, item.cell, item.to_cell)} · {word("compare_post", item.change)}
      </p>
    </>
  );
}

export function Concerned({ desk, found, depth }: { desk: DeskState; found: Comparison; depth: number }) {
  const { incidents, posts } = found;
  const pairs = found.people.filter((pair) => pair.depth === depth).sort((a, b) => b.households - a.households);
  const near = ({ lon, lat }: MovedIncident) =>
    desk.goTo([lon - NEAR_DEGREES, lat - NEAR_DEGREES, lon + NEAR_DEGREES, lat + NEAR_DEGREES]);
  return (
    <section aria-label={t("compare.concerned")}>
      <h3>{t("compare.concerned")}</h3>
      <Listed
        title={t("compare.pairs", { n: number(pairs.length) })}
        items={pairs}
        row={(item) => pairRow(desk, item)}
      />
      <Listed
        title={t("compare.incidents", { n: number(incidents.count), open: number(incidents.open) })}
        items={incidents.items}
        row={(item) => incidentRow(desk, item)}
        onGo={near}
      />
      {incidents.count === 0 && (
        <p class="propose-hint">{t("compare.no_incidents", { open: number(incidents.open) })}</p>
      )}
      <Listed
        title={t("compare.posts", {
          ends: number(posts.ends),
          redrawn: number(posts.redrawn),
          n: number(posts.people),
        })}
        items={posts.items}
        row={(item) => postRow(desk, item)}
        onGo={(item) => desk.goTo(item.bbox)}
      />
      {posts.ends + posts.redrawn === 0 && <p class="propose-hint">{t("compare.no_posts")}</p>}
    </section>
  );
}

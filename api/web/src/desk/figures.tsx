/** The figures of what is selected, and what the change under the pointer would make of the cells. */

import { useEffect, useState } from "preact/hooks";
import { number, t, word } from "../i18n";
import { Icon } from "../panels/icons";
import { useValue } from "../state/value";
import { compactness } from "./board";
import { SIGNS, signed } from "./colouring";
import { chosenFaces } from "./commands";
import type { Hand, Preview } from "./hand";
import { buildingName, cellName, nameOf } from "./names";
import type { DeskState } from "./state";
import type { DeskCell } from "./types";

const HECTARE_M2 = 10_000;
const SHOWN_CHANGES = 5;
const SPEAK_AFTER_MS = 400;

interface Sums {
  households: number;
  buildings: number;
  area_m2: number;
}

function sums(desk: DeskState): Sums {
  const { board } = desk;
  const faces = chosenFaces(desk);
  if (faces.length === 0) {
    const cells = desk.selection.value.cells.flatMap((id) => board.cells.get(id) ?? []);
    return {
      households: cells.reduce((sum, cell) => sum + cell.households, 0),
      buildings: cells.reduce((sum, cell) => sum + cell.buildings, 0),
      area_m2: cells.reduce((sum, cell) => sum + cell.area_m2, 0),
    };
  }
  return { ...board.livingOn(faces), area_m2: faces.reduce((sum, face) => sum + face.area_m2, 0) };
}

function titleOf(desk: DeskState): string {
  const { cells, faces } = desk.selection.value;
  if (faces.length > 0) {
    const [only] = chosenFaces(desk);
    const building = faces.length === 1 && only?.building != null ? desk.board.buildings.get(only.building) : null;
    return building ? buildingName(building) : t("desk.chosen_faces", { n: faces.length });
  }
  const [only] = cells;
  return cells.length === 1 ? nameOf(desk.board, only) : t("desk.chosen_cells", { n: cells.length });
}

function Facts({ desk }: { desk: DeskState }) {
  const { cells, faces } = desk.selection.value;
  const whole = sums(desk);
  const cell = cells.length === 1 && faces.length === 0 ? desk.board.cells.get(cells[0]) : undefined;
  return (
    <dl class="facts">
      <div>
        <dt>{word("desk_column", "households")}</dt>
        <dd data-figure="households">
          {cell ? SIGNS[cell.band_state] : ""}
          {number(whole.households)}
        </dd>
      </div>
      <div>
        <dt>{word("desk_column", "buildings")}</dt>
        <dd data-figure="buildings">{number(whole.buildings)}</dd>
      </div>
      <div>
        <dt>{t("desk.area")}</dt>
        <dd>{number(whole.area_m2 / HECTARE_M2, 1)}</dd>
      </div>
      {cell && <CellFacts cell={cell} />}
    </dl>
  );
}

function CellFacts({ cell }: { cell: DeskCell }) {
  return (
    <>
      <div>
        <dt>{word("desk_column", "compact")}</dt>
        <dd>{number(compactness(cell), 2)}</dd>
      </div>
      <div>
        <dt>{word("desk_column", "people")}</dt>
        <dd>{number(cell.people)}</dd>
      </div>
      <div>
        <dt>{t("desk.incidents")}</dt>
        <dd>{number(cell.open_incidents)}</dd>
      </div>
    </>
  );
}

function Changes({ preview, desk }: { preview: Preview; desk: DeskState }) {
  if (preview.changes.length === 0) return null;
  return (
    <ul class="ahead" aria-label={t("desk.ahead")}>
      {preview.changes.slice(0, SHOWN_CHANGES).map(({ before, after }) => {
        const torn = after !== null && after.pieces > Math.max(1, before.pieces);
        const state = after?.band_state ?? "empty";
        return (
          <li key={before.id} class={`ahead-${state}`}>
            <span class="ahead-name">{before.id === 0 ? t("desk.new_cell") : cellName(desk.board, before)}</span>
            <span class="numeric">
              {number(before.households)} → <strong>{number(after?.households ?? 0)}</strong>
            </span>
            <span class="ahead-difference">{signed((after?.households ?? 0) - before.households)}</span>
            <span class={`chip chip-${state}`}>{word("band", state)}</span>
            {torn && (
              <span class="chip chip-torn">
                <Icon name="warn" size={14} />
                {t("desk.would_tear")}
              </span>
            )}
          </li>
        );
      })}
      {preview.changes.length > SHOWN_CHANGES && (
        <li>{t("cells.more_short", { n: preview.changes.length - SHOWN_CHANGES })}</li>
      )}
      {preview.buildings > 0 && (
        <li class="ahead-sum">
          {t("desk.ahead_sum", { buildings: number(preview.buildings), households: number(preview.households) })}
        </li>
      )}
    </ul>
  );
}

function Under({ preview, desk }: { preview: Preview; desk: DeskState }) {
  const { face, cell } = preview;
  if (!face) return null;
  const building = face.building === null ? null : desk.board.buildings.get(face.building);
  const compound = building?.compound == null ? null : desk.board.compounds.get(building.compound);
  const { households } = desk.board.livingOn([face]);
  const isUnplaced = building !== null && desk.board.isLand(face);
  return (
    <p class="under">
      <strong>{isUnplaced ? t("desk.unplaced") : nameOf(desk.board, cell)}</strong>
      {building
        ? ` · ${compound ? `${compound.name} ` : ""}${buildingName(building)} · ${number(households)} ${t("unit.households")}`
        : ` · ${t("desk.land")}`}
      {building?.locked && ` · ${t("desk.locked")}`}
    </p>
  );
}

/** What a screen reader is told of the selection, once it has come to rest. */
function Spoken({ desk }: { desk: DeskState }) {
  const { cells, faces } = useValue(desk.selection);
  const revision = useValue(desk.revision);
  const [text, setText] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => {
      if (cells.length + faces.length === 0) return setText("");
      const { households, buildings } = sums(desk);
      const [only] = cells;
      const cell = cells.length === 1 && faces.length === 0 ? desk.board.cells.get(only) : undefined;
      const state = cell ? word("band", cell.band_state) : "";
      setText(
        t("desk.spoken", { what: titleOf(desk), households: number(households), buildings: number(buildings), state }),
      );
    }, SPEAK_AFTER_MS);
    return () => clearTimeout(timer);
  }, [cells, faces, revision]);
  return (
    <p class="read-only" role="status" aria-live="polite" data-spoken>
      {text}
    </p>
  );
}

export function Figures({ desk, hand }: { desk: DeskState; hand: Hand | null }) {
  useValue(desk.revision);
  const { cells, faces } = useValue(desk.selection);
  return (
    <section class="figures" aria-label={t("desk.figures")}>
      <Spoken desk={desk} />
      {cells.length + faces.length > 0 && (
        <div class="figures-chosen">
          <h3>{titleOf(desk)}</h3>
          <Facts desk={desk} />
        </div>
      )}
      {hand && <Ahead desk={desk} hand={hand} />}
    </section>
  );
}

function Ahead({ desk, hand }: { desk: DeskState; hand: Hand }) {
  const preview = useValue(hand.preview);
  if (!preview) return null;
  return (
    <div class="figures-ahead" aria-hidden="true">
      <Under preview={preview} desk={desk} />
      <Changes preview={preview} desk={desk} />
    </div>
  );
}

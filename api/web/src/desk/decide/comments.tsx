/** Remarks on a plan: pins on the map and the threads that belong to them. */

import { useEffect, useRef, useState } from "preact/hooks";
import { type Problem, post } from "../../api/client";
import type { Id, Place } from "../../api/types";
import { t } from "../../i18n";
import { goToPlace } from "../../map/town_map";
import { Icon } from "../../panels/icons";
import { failed } from "../../panels/notice";
import { Refused } from "../../panels/states";
import { useValue } from "../../state/value";
import type { DeskState, OverlayStyle } from "../state";
import { addressOf, when } from "./decision";
import type { Thread } from "./types";

const PINS = "decide";
const STYLE: OverlayStyle = {
  circle: ["match", ["get", "state"], "open", "#b3301d", "new", "#8a5300", "#2d6a35"],
  radius: ["case", ["get", "chosen"], 12, 9],
  label: "label",
};

interface Props {
  desk: DeskState;
  threads: readonly Thread[];
  may: boolean;
  onChange: (threads: readonly Thread[]) => void;
}

interface Answer {
  items: Thread[];
  made?: Id;
}

/** Pins with the numbers of the threads; a resolved one bears a tick, so that it is not told by colour alone. */
function pins(threads: readonly Thread[], chosen: Id | null, fresh: Place | null): GeoJSON.FeatureCollection {
  const point = (place: Place, properties: Record<string, unknown>): GeoJSON.Feature => ({
    type: "Feature",
    geometry: { type: "Point", coordinates: place },
    properties,
  });
  const features = threads.map((thread, index) =>
    point([thread.lon, thread.lat], {
      thread: thread.id,
      state: thread.resolved_at ? "resolved" : "open",
      chosen: thread.id === chosen,
      label: thread.resolved_at ? `✓ ${index + 1}` : String(index + 1),
    }),
  );
  if (fresh) features.push(point(fresh, { state: "new", chosen: true, label: t("decide.here") }));
  return { type: "FeatureCollection", features };
}

/** Where a new remark stands at first: the cell that is chosen, else the middle of the map. */
function firstPlace(desk: DeskState): Place {
  const cell = desk.board.cells.get(desk.selection.value.cells[0]);
  if (cell) return [(cell.bbox[0] + cell.bbox[2]) / 2, (cell.bbox[1] + cell.bbox[3]) / 2];
  const middle = desk.map.value?.getCenter();
  if (middle) return [middle.lng, middle.lat];
  const [west, south, east, north] = desk.plan.bbox ?? [0, 0, 0, 0];
  return [(west + east) / 2, (south + north) / 2];
}

/** A text to be sent, kept in its box until it has arrived. */
function Write(props: { label: string; send: (text: string) => Promise<void>; onCancel: () => void }) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => box.current?.focus(), []);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await props.send(text);
    } catch (reason) {
      setProblem(reason as Problem);
      setBusy(false);
    }
  };
  return (
    <form class="remark-write" onSubmit={send}>
      <textarea
        ref={box}
        rows={3}
        required
        maxLength={4000}
        aria-label={props.label}
        placeholder={props.label}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <Refused problem={problem} />
      <div class="acts">
        <button type="submit" class="button button-main" disabled={busy || !text.trim()}>
          <Icon name="send" />
          {t("decide.send")}
        </button>
        <button type="button" class="button" onClick={props.onCancel}>
          {t("act.cancel")}
        </button>
      </div>
    </form>
  );
}

interface ThreadProps {
  thread: Thread;
  index: number;
  chosen: boolean;
  may: boolean;
  onPick: () => void;
  onResolve: (is_resolved: boolean) => void;
  onAnswer: (text: string) => Promise<void>;
}

function ThreadCard({ thread, index, chosen, may, onPick, onResolve, onAnswer }: ThreadProps) {
  const [answering, setAnswering] = useState(false);
  const card = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (chosen) card.current?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  const resolved = thread.resolved_at !== null;
  return (
    <li ref={card} class={`remark${resolved ? " remark-resolved" : ""}${chosen ? " remark-chosen" : ""}`}>
      <div class="remark-head">
        <button
          type="button"
          class="remark-pin"
          onClick={onPick}
          aria-label={t("decide.show_on_map", { n: index + 1 })}
        >
          <Icon name="pin" size={15} />
          {index + 1}
        </button>
        <span>
          <strong>{thread.actor}</strong> · <time dateTime={thread.at}>{when(thread.at)}</time>
        </span>
        <span class={`remark-state ${resolved ? "is-resolved" : "is-open"}`}>
          {t(resolved ? "decide.resolved" : "decide.open")}
        </span>
      </div>
      <p class="remark-text">{thread.text}</p>
      {thread.cell_code && <p class="remark-cell code">{thread.cell_code}</p>}
      {thread.answers.length > 0 && (
        <ul class="remark-answers">
          {thread.answers.map((said) => (
            <li key={said.id}>
              <span>
                <strong>{said.actor}</strong> · <time dateTime={said.at}>{when(said.at)}</time>
              </span>
              <p class="remark-text">{said.text}</p>
            </li>
          ))}
        </ul>
      )}
      {thread.resolved_by && thread.resolved_at && (
        <p class="remark-cell">
          {t("decide.resolved_by", { who: thread.resolved_by, when: when(thread.resolved_at) })}
        </p>
      )}
      {may && answering && (
        <Write
          label={t("decide.answer")}
          send={(text) => onAnswer(text).then(() => setAnswering(false))}
          onCancel={() => setAnswering(false)}
        />
      )}
      {may && !answering && (
        <div class="acts">
          <button type="button" class="button" onClick={() => setAnswering(true)}>
            {t("decide.answer")}
          </button>
          <button type="button" class="button" onClick={() => onResolve(!resolved)}>
            <Icon name={resolved ? "undo" : "check"} />
            {t(resolved ? "decide.reopen" : "decide.resolve")}
          </button>
        </div>
      )}
    </li>
  );
}

/** While a remark is being placed, a click on the map moves its pin and does nothing else. */
function usePlacing(desk: DeskState, placing: boolean, move: (place: Place) => void): void {
  const map = useValue(desk.map);
  useEffect(() => {
    if (!placing || !map) return;
    const tool = desk.tool.value;
    desk.tool.set("select");
    const onClick = (event: { lngLat: { lng: number; lat: number } }) => move([event.lngLat.lng, event.lngLat.lat]);
    map.on("click", onClick);
    return () => {
      map.off("click", onClick);
      desk.tool.set(tool);
    };
  }, [placing, map]);
}

export function Comments({ desk, threads, may, onChange }: Props) {
  const [chosen, setChosen] = useState<Id | null>(null);
  const [fresh, setFresh] = useState<Place | null>(null);
  const [all, setAll] = useState(false);
  const map = useValue(desk.map);
  usePlacing(desk, fresh !== null, setFresh);
  useEffect(() => desk.overlay(PINS, pins(threads, chosen, fresh), STYLE), [desk, threads, chosen, fresh]);
  useEffect(() => {
    const layer = `overlay-${PINS}-circle`;
    if (!map) return;
    const onClick = (event: { point: { x: number; y: number } }) => {
      if (!map.getLayer(layer)) return;
      const [hit] = map.queryRenderedFeatures([event.point.x, event.point.y], { layers: [layer] });
      if (!hit?.properties.thread) return;
      setAll(true);
      setChosen(hit.properties.thread as Id);
    };
    map.on("click", onClick);
    return () => void map.off("click", onClick);
  }, [map]);

  const say = async (body: object) => {
    const { items, made } = await post<Answer>(addressOf(desk, "comments"), body);
    onChange(items);
    return made ?? null;
  };
  const pin = async (text: string) => {
    if (!fresh) return;
    setChosen(await say({ lon: fresh[0], lat: fresh[1], text }));
    setFresh(null);
  };
  const resolve = (thread: Thread, is_resolved: boolean) =>
    post<Answer>(addressOf(desk, `comments/${thread.id}/resolve`), { is_resolved }).then(
      ({ items }) => onChange(items),
      failed,
    );
  const pick = (thread: Thread) => {
    setChosen(thread.id);
    if (map) goToPlace(map, [thread.lon, thread.lat]);
  };

  const open = threads.filter(({ resolved_at }) => resolved_at === null);
  const shown = all ? threads : threads.filter((thread) => thread.resolved_at === null || thread.id === chosen);
  return (
    <section class="remarks" aria-label={t("decide.remarks")}>
      <div class="remarks-head">
        <h3>{t("decide.remarks")}</h3>
        <span class="remarks-count">{t("decide.remarks_open", { n: open.length, all: threads.length })}</span>
        {may && !fresh && (
          <button type="button" class="button" onClick={() => setFresh(firstPlace(desk))}>
            <Icon name="pin" />
            {t("decide.remark")}
          </button>
        )}
      </div>
      {fresh && (
        <div class="remark remark-fresh">
          <p class="field-hint" role="status">
            {t("decide.place_pin")}
          </p>
          <Write label={t("decide.remark_text")} send={pin} onCancel={() => setFresh(null)} />
        </div>
      )}
      {threads.length === 0 && !fresh && <p class="lack">{t("decide.no_remarks")}</p>}
      <ol class="remark-list">
        {shown.map((thread) => (
          <ThreadCard
            key={thread.id}
            thread={thread}
            index={threads.indexOf(thread)}
            chosen={thread.id === chosen}
            may={may}
            onPick={() => pick(thread)}
            onResolve={(is_resolved) => void resolve(thread, is_resolved)}
            onAnswer={(text) => say({ parent: thread.id, text }).then(() => undefined)}
          />
        ))}
      </ol>
      {open.length < threads.length && (
        <button type="button" class="button-link" aria-expanded={all} onClick={() => setAll(!all)}>
          {t(all ? "decide.hide_resolved" : "decide.show_resolved", { n: threads.length - open.length })}
        </button>
      )}
    </section>
  );
}

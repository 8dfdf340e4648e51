/** One box that finds everything: a combobox after WAI-ARIA, on phones a sheet over the whole width. */

import "../style/search.css";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import type { Found } from "../api/types";
import { t, useLanguage, word } from "../i18n";
import { codeTail } from "../map/cells";
import {
  choose,
  chosenFound,
  forgetSearches,
  isSearchable,
  noteSearch,
  openAddressed,
  recentSearches,
  useSearch,
} from "../state/search";
import { Icon, type IconName } from "./icons";
import { postOf } from "./people";
import { sentence } from "./states";

export const KIND_ICONS: Record<Found["kind"], IconName> = {
  building: "building",
  compound: "gate",
  community: "map",
  area: "map",
  grid: "grid",
  micro_grid: "grid",
  road: "road",
  place: "pin",
  poi: "pin",
  staff: "user",
};

/** The parts of a label, those that matched marked. */
export function Marked({ text, marks }: { text: string; marks: Found["marks"] }) {
  const parts: ComponentChildren[] = [];
  let at = 0;
  for (const [from, to] of marks) {
    parts.push(text.slice(at, from), <mark key={from}>{text.slice(from, to)}</mark>);
    at = to;
  }
  return (
    <>
      {parts}
      {text.slice(at)}
    </>
  );
}

/** Who answers for it and where, in a few words. */
function inBrief(found: Found): string {
  const cell = found.micro_grid ?? found.grid;
  const person = found.kind === "staff" ? null : found.people?.[0];
  const where = cell && found.kind !== "grid" && found.kind !== "micro_grid" ? codeTail(cell.code) : null;
  return [where, person ? `${person.name} ${postOf(person)}` : null].filter(Boolean).join(" · ");
}

interface OptionProps {
  found: Found;
  id: string;
  active: boolean;
  onPick: () => void;
}

function Option({ found, id, active, onPick }: OptionProps) {
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the focus stays in the box, which hears the keys
    <div
      id={id}
      role="option"
      tabIndex={-1}
      aria-selected={active}
      class="found-row"
      data-found={`${found.kind}:${found.id}`}
      onClick={onPick}
    >
      <Icon name={KIND_ICONS[found.kind]} />
      <span class="found-label">
        <Marked text={found.label} marks={found.marks} />
      </span>
      <span class="found-detail">
        <Marked text={found.detail ?? ""} marks={found.detail_marks ?? []} />
      </span>
      <span class="found-who">{inBrief(found)}</span>
    </div>
  );
}

interface Group {
  kind: Found["kind"];
  items: Found[];
}

/** By kind, the kind of the best first; within a kind in the order of the answer. */
function grouped(items: readonly Found[]): Group[] {
  const groups: Group[] = [];
  for (const item of items) {
    const group = groups.find((one) => one.kind === item.kind);
    if (group) group.items.push(item);
    else groups.push({ kind: item.kind, items: [item] });
  }
  return groups;
}

interface BoxProps {
  onDone: () => void;
  focused: boolean;
}

/** The box with its list. */
function Combobox({ onDone, focused }: BoxProps) {
  const list = useId();
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState("");
  const [words, setWords] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const composing = useRef(false);
  /** Enter came before the answer: its first row is meant. */
  const hurried = useRef(false);
  const { items, failure, busy, again } = useSearch(words);
  const [recent, setRecent] = useState<string[]>([]);

  const groups = useMemo(() => grouped(items ?? []), [items]);
  const rows = useMemo(() => groups.flatMap((group) => group.items), [groups]);
  const optionId = (n: number) => `${list}-${n}`;
  const isEmpty = !isSearchable(typed);

  useEffect(() => {
    setAt(rows.length > 0 ? 0 : -1);
    if (hurried.current && rows[0] && words === typed) pick(rows[0]);
    hurried.current = false;
  }, [rows]);
  useEffect(() => {
    if (focused) input.current?.focus();
  }, [focused]);
  useEffect(() => {
    document.getElementById(optionId(at))?.scrollIntoView({ block: "nearest" });
  }, [at]);

  const write = (next: string) => {
    hurried.current = false;
    setTyped(next);
    setOpen(true);
    // In the middle of composing a character the letters are not yet what is meant.
    if (!composing.current) setWords(next);
  };

  const pick = (found: Found) => {
    noteSearch(found);
    choose(found, typed);
    setTyped(found.label);
    setOpen(false);
    input.current?.blur();
    onDone();
  };

  const clear = () => {
    setTyped("");
    setWords("");
    choose(null);
    input.current?.focus();
  };

  const press = (event: KeyboardEvent) => {
    if (event.isComposing || event.keyCode === 229) return;
    const last = rows.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) setOpen(true);
      else if (event.key === "ArrowDown") setAt(at >= last ? 0 : at + 1);
      else setAt(at <= 0 ? last : at - 1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (busy || words !== typed) hurried.current = true;
      else if (open && rows[at]) pick(rows[at]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (open && typed) setOpen(false);
      else if (typed) clear();
      else onDone();
    }
  };

  const shown = open && (isEmpty ? recent.length > 0 : true);
  return (
    <search class="search">
      <div class="search-field" aria-busy={busy}>
        <Icon name="search" />
        <input
          ref={input}
          type="text"
          role="combobox"
          inputMode="search"
          enterkeyhint="search"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          placeholder={t("search.placeholder")}
          aria-label={t("search.box")}
          aria-expanded={shown}
          aria-controls={list}
          aria-autocomplete="list"
          aria-activedescendant={shown && at >= 0 && !isEmpty ? optionId(at) : undefined}
          maxLength={300}
          value={typed}
          onFocus={() => {
            setRecent(recentSearches());
            setOpen(true);
          }}
          onBlur={() => setOpen(false)}
          onCompositionStart={() => {
            composing.current = true;
          }}
          onCompositionEnd={(event) => {
            composing.current = false;
            write(event.currentTarget.value);
          }}
          onInput={(event) => write(event.currentTarget.value)}
          onKeyDown={press}
        />
        {typed && (
          <button
            type="button"
            class="button-bare"
            aria-label={t("search.clear")}
            onMouseDown={(e) => e.preventDefault()}
            onClick={clear}
          >
            <Icon name="close" size={18} />
          </button>
        )}
      </div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: pressing into the list must not take the focus off the box */}
      <div class="search-list" hidden={!shown} onMouseDown={(event) => event.preventDefault()}>
        {isEmpty && recent.length > 0 && (
          <div class="search-recent">
            <p class="search-group">
              {t("search.recent")}
              <button
                type="button"
                class="button-link"
                onClick={() => {
                  forgetSearches();
                  setRecent([]);
                }}
              >
                {t("search.forget")}
              </button>
            </p>
            {recent.map((one) => (
              <button key={one} type="button" class="search-again" onClick={() => write(one)}>
                <Icon name="clock" size={18} />
                {one}
              </button>
            ))}
          </div>
        )}
        <div id={list} role="listbox" tabIndex={-1} aria-label={t("search.results")}>
          {!isEmpty &&
            groups.map((group, n) => (
              // biome-ignore lint/a11y/useSemanticElements: a fieldset is no group of a listbox
              <div key={group.kind} role="group" aria-label={word("search_kind", group.kind)}>
                <p class="search-group" aria-hidden="true">
                  {word("search_kind", group.kind)}
                </p>
                {group.items.map((found, m) => {
                  const own = groups.slice(0, n).reduce((sum, one) => sum + one.items.length, m);
                  return (
                    <Option
                      key={`${found.kind}:${found.id}`}
                      found={found}
                      id={optionId(own)}
                      active={own === at}
                      onPick={() => pick(found)}
                    />
                  );
                })}
              </div>
            ))}
        </div>
        {!isEmpty && failure && (
          <div class="search-none" role="alert">
            <Icon name="warn" />
            <p>{sentence(failure)}</p>
            <button type="button" class="button" onClick={again}>
              <Icon name="refresh" size={18} />
              {t("state.again")}
            </button>
          </div>
        )}
        {!isEmpty && !failure && items?.length === 0 && !busy && (
          <div class="search-none">
            <Icon name="search" size={28} />
            <p>{t("search.none", { words: typed.slice(0, 30) })}</p>
            <p class="search-hint">{t("search.hint")}</p>
          </div>
        )}
        {!isEmpty && !failure && items === null && (
          <div class="search-none">
            <span class="spinner" aria-hidden="true" />
          </div>
        )}
      </div>
      <p class="read-only" role="status">
        {shown && items && !busy ? t("search.count", { n: items.length }) : ""}
      </p>
    </search>
  );
}

/** The box in the bar; on a phone a button that opens it as a sheet. */
export function SearchBox() {
  useLanguage();
  const [sheet, setSheet] = useState(false);
  const [wide, setWide] = useState(matchMedia(WIDE).matches);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    openAddressed();
    const query = matchMedia(WIDE);
    const follow = () => setWide(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.key !== "/" || event.isComposing || /^(input|select|textarea)$/i.test(target.tagName)) return;
      event.preventDefault();
      setSheet(true);
      setTurn((n) => n + 1);
    };
    document.addEventListener("keydown", slash);
    return () => document.removeEventListener("keydown", slash);
  }, []);
  if (wide) return <Combobox key={chosenFound.value ? "kept" : turn} focused={turn > 0} onDone={() => undefined} />;
  return (
    <>
      <button
        type="button"
        class="button-quiet search-open"
        aria-label={t("search.box")}
        onClick={() => setSheet(true)}
      >
        <Icon name="search" size={24} />
      </button>
      {sheet && (
        <div class="search-sheet">
          <button type="button" class="button-bare" aria-label={t("act.close")} onClick={() => setSheet(false)}>
            <Icon name="back" size={24} />
          </button>
          <Combobox focused onDone={() => setSheet(false)} />
        </div>
      )}
    </>
  );
}

const WIDE = "(min-width: 761px)";

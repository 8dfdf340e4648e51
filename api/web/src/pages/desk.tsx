/** The planner's desk: a plan's grids redrawn by hand, with its figures, its faults and everything else in view. */

import "../style/planner.css";
import "../style/desk.css";
import { useEffect, useState } from "preact/hooks";
import type { Problem } from "../api/client";
import type { Session } from "../api/types";
import { Desk } from "../desk/desk";
import { Drafts } from "../desk/drafts";
import { DeskState } from "../desk/state";
import { t, useLanguage } from "../i18n";
import { Shell } from "../panels/shell";
import { Failed, Waiting } from "../panels/states";
import { addressedNumber } from "../state/address";
import { mount } from "./mount";

const LONG_MS = 2500;

/** The first opening of a plan surveys its ground, which takes its time; later ones do not. */
function OpeningState() {
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLong(true), LONG_MS);
    return () => clearTimeout(timer);
  }, []);
  return <Waiting label={isLong ? t("desk.opening_first") : t("desk.opening")} />;
}

function Opening({ session }: { session: Session }) {
  const language = useLanguage();
  const plan = addressedNumber("plan");
  const [desk, setDesk] = useState<DeskState | null>(null);
  const [failure, setFailure] = useState<Problem | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    document.title = `${t("desk.title")} · ${t("brand")}`;
  }, [language]);
  useEffect(() => {
    if (plan === null) return;
    const stop = new AbortController();
    let opened: DeskState | null = null;
    setFailure(null);
    DeskState.open(session, plan, stop.signal).then(
      (made) => {
        if (stop.signal.aborted) return;
        opened = made;
        made.begin();
        setDesk(made);
      },
      (reason) => !stop.signal.aborted && setFailure(reason),
    );
    return () => {
      stop.abort();
      opened?.close();
    };
  }, [plan, turn]);
  if (plan === null) return <Drafts session={session} />;
  if (failure) {
    return (
      <div class="drafts">
        <Failed problem={failure} again={() => setTurn(turn + 1)} />
        <a href="/desk">{t("desk.all_plans")}</a>
      </div>
    );
  }
  return desk ? <Desk desk={desk} /> : <OpeningState />;
}

mount(() => <Shell page="planner">{(session) => <Opening session={session} />}</Shell>);

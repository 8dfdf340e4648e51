/** What a desk needs to open, asked for by the first script of the page while the others are still on their way. */

import type { Id } from "../api/types";
import { addressedNumber } from "../state/address";
import { askSession } from "../state/session";
import { Value } from "../state/value";
import { askGround, type Ground } from "./ground";
import { openedGround, openedView, type Survey, type Tell } from "./opening";
import type { DeskView } from "./types";

export type Opened = [view: DeskView, ground: Ground];

/** View and ground at once, and again where faces were split between the two answers. */
export async function ask(plan: Id, signal?: AbortSignal, tell?: Tell): Promise<Opened> {
  const asked = openedView(plan, signal, tell);
  const [view, ground] = await Promise.all([asked, openedGround(() => askGround(plan, signal), asked)]);
  return view.ground === ground.ground ? [view, ground] : ask(plan, signal, tell);
}

interface Ahead {
  plan: Id;
  survey: Value<Survey | null>;
  opened: Promise<Opened>;
}

let ahead: Ahead | null = null;

export function askAhead(): void {
  const plan = addressedNumber("plan");
  if (plan === null) return;
  const survey = new Value<Survey | null>(null);
  void askSession().catch(() => undefined);
  const opened = ask(plan, undefined, (told) => survey.set(told));
  opened.catch(() => undefined); // told to whoever takes it
  ahead = { plan, survey, opened };
}

/** Once: who asks again wants it anew. */
export function takeAhead(plan: Id): Ahead | null {
  const taken = ahead?.plan === plan ? ahead : null;
  ahead = null;
  return taken;
}

import { useEffect, useState } from "preact/hooks";
import { get, type Problem, remove, toLogin } from "../api/client";
import type { Session } from "../api/types";

/** Which pages a role opens; what may be done there is decided by the server, act by act. */
const PAGES: Record<string, readonly PageName[]> = {
  administrator: ["planner", "command", "field"],
  planner: ["planner", "command"],
  approver: ["planner", "command"],
  dispatcher: ["command", "planner"],
  field_worker: ["field"],
  viewer: ["planner", "command"],
};

export type PageName = "planner" | "command" | "field";

export const pagesOf = (session: Session): PageName[] => {
  const allowed = new Set(session.grants.flatMap((grant) => PAGES[grant.role] ?? []));
  return (["planner", "command", "field"] as const).filter((page) => allowed.has(page));
};

export const may = (session: Session, ...roles: string[]): boolean =>
  session.grants.some((grant) => grant.role === "administrator" || roles.includes(grant.role));

export const homeOf = (session: Session): string =>
  /^\/(planner|command|field)\b/.test(session.home) ? session.home : "/planner";

export async function signOut(): Promise<void> {
  await remove("/api/v1/session").catch(() => undefined);
  toLogin();
}

let asked: Promise<Session> | null = null;

/** Who is signed in, asked for once in the life of a page. */
export function askSession(): Promise<Session> {
  asked ??= get<Session>("/api/v1/session");
  return asked;
}

/** The signed-in person; sends to the login page whoever is not. */
export function useSession(): { session: Session | null; failure: Problem | null } {
  const [session, setSession] = useState<Session | null>(null);
  const [failure, setFailure] = useState<Problem | null>(null);
  useEffect(() => {
    askSession().then(setSession, setFailure);
  }, []);
  return { session, failure };
}

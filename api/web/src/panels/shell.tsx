/** The frame of every page: name, ways to the other pages, language, who is signed in, lost connection. */

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { Session } from "../api/types";
import { t, useLanguage, word } from "../i18n";
import { connection } from "../state/connection";
import { type PageName, pagesOf, signOut, useSession } from "../state/session";
import { useValue } from "../state/value";
import mark from "../style/wangge.svg?url";
import { GeotagButton, GeotagPlace } from "./geotag_dialog";
import { Icon, type IconName } from "./icons";
import { LanguageSwitch } from "./language_switch";
import { Notice } from "./notice";
import { SearchBox } from "./search_box";
import { Empty, Failed, Waiting } from "./states";

const TABS: Record<PageName, IconName> = { planner: "grid", command: "bell", field: "walk" };

export function ConnectionBanner() {
  const state = useValue(connection);
  if (state === "online") return null;
  return (
    <div class="banner" role="alert">
      <Icon name="wifi" />
      {t("state.network_lost")}
    </div>
  );
}

/** Whoever has no role yet is told so, instead of a page whose every part refuses. */
function Allowed({ session, children }: { session: Session; children: (session: Session) => ComponentChildren }) {
  if (session.grants.length > 0) return <>{children(session)}</>;
  return <Empty icon="user">{t("state.no_role", { user: session.user.username })}</Empty>;
}

interface Props {
  page: PageName;
  aside?: ComponentChildren;
  /** What stands in the page until it is known who is signed in. */
  meanwhile?: ComponentChildren;
  children: (session: Session) => ComponentChildren;
}

export function Shell({ page, aside, meanwhile, children }: Props) {
  const language = useLanguage();
  const { session, failure } = useSession();
  useEffect(() => {
    document.title = `${word("page", page)} · ${t("brand")}`;
  }, [page, language]);
  return (
    <div class={`shell shell-${page}`}>
      <header class="bar">
        <a class="brand" href="/">
          <img src={mark} alt="" width="30" height="30" />
          <span>{t("brand")}</span>
        </a>
        <nav class="tabs" aria-label={t("nav.pages")}>
          {session &&
            pagesOf(session).map((name) => (
              <a key={name} href={`/${name}`} class="tab" aria-current={name === page ? "page" : undefined}>
                <Icon name={TABS[name]} />
                {word("page", name)}
              </a>
            ))}
        </nav>
        {session && <SearchBox />}
        <div class="bar-end">
          {session && page !== "field" && <GeotagButton />}
          {(!session || session.grants.length > 0) && aside}
          <LanguageSwitch />
          {session && (
            <>
              <span class="who" title={session.user.username}>
                <Icon name="user" />
                {session.user.name}
              </span>
              <button type="button" class="button-quiet" onClick={signOut}>
                <Icon name="exit" />
                <span class="wide-only">{t("act.sign_out")}</span>
              </button>
            </>
          )}
        </div>
      </header>
      <ConnectionBanner />
      <main class="desk">
        {session ? (
          <Allowed session={session}>{children}</Allowed>
        ) : failure ? (
          <Failed problem={failure} />
        ) : (
          meanwhile || <Waiting />
        )}
      </main>
      <GeotagPlace />
      <Notice />
    </div>
  );
}

import "../style/login.css";
import { useEffect, useState } from "preact/hooks";
import { get, type Problem, post, put } from "../api/client";
import type { Session } from "../api/types";
import { t, useLanguage } from "../i18n";
import { FieldRow } from "../panels/field_row";
import { LanguageSwitch } from "../panels/language_switch";
import { ConnectionBanner } from "../panels/shell";
import { Refused } from "../panels/states";
import { addressed } from "../state/address";
import { homeOf } from "../state/session";
import mark from "../style/wangge.svg?url";
import { mount } from "./mount";

/** Only a path of this server is followed after the login, never another site's address. */
function wayBack(): string | null {
  const next = addressed("next");
  return next && /^\/(?!\/|\\)/.test(next) && !next.startsWith("/login") ? next : null;
}

async function enter(): Promise<Session> {
  const session = await get<Session>("/api/v1/session");
  if (!session.user.must_change_password) location.assign(wayBack() ?? homeOf(session));
  return session;
}

function SignIn({ onMustChange }: { onMustChange: (old: string) => void }) {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await post("/api/v1/session", { username, password });
      if ((await enter()).user.must_change_password) onMustChange(password);
    } catch (reason) {
      setProblem(reason as Problem);
      setBusy(false);
    }
  };
  return (
    <form class="form" onSubmit={submit} aria-label={t("login.title")}>
      {addressed("why") === "ended" && <p role="status">{t("login.ended")}</p>}
      <FieldRow label={t("login.username")}>
        <input
          name="username"
          autocomplete="username"
          autocapitalize="none"
          spellcheck={false}
          required
          autofocus
          value={username}
          onInput={(event) => setUsername(event.currentTarget.value)}
        />
      </FieldRow>
      <FieldRow label={t("login.password")}>
        <input
          name="password"
          type="password"
          autocomplete="current-password"
          required
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
      </FieldRow>
      <Refused problem={problem} />
      <button type="submit" class="button button-main button-wide" disabled={busy}>
        {busy ? t("login.busy") : t("login.enter")}
      </button>
    </form>
  );
}

function ChangePassword({ old }: { old: string }) {
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setProblem(null);
    try {
      await put("/api/v1/session/password", { old_password: old, new_password: password });
      await enter();
    } catch (reason) {
      setProblem(reason as Problem);
    }
  };
  return (
    <form class="form" onSubmit={submit} aria-label={t("login.change")}>
      <p>{t("login.must_change")}</p>
      <FieldRow label={t("login.new_password")} hint={t("login.new_password_hint")}>
        <input
          type="password"
          autocomplete="new-password"
          required
          minLength={10}
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
      </FieldRow>
      <Refused problem={problem} />
      <button type="submit" class="button button-main button-wide">
        {t("login.change")}
      </button>
    </form>
  );
}

function Login() {
  const language = useLanguage();
  const [old, setOld] = useState<string | null>(null);
  useEffect(() => {
    document.title = `${t("login.title")} · ${t("brand")}`;
  }, [language]);
  return (
    <div class="login">
      <ConnectionBanner />
      <main class="login-box">
        <header>
          <img src={mark} alt="" width="56" height="56" />
          <h1>{t("brand")}</h1>
          <p>{t("brand.line")}</p>
        </header>
        {old === null ? <SignIn onMustChange={setOld} /> : <ChangePassword old={old} />}
      </main>
      <footer class="login-foot">
        <LanguageSwitch />
      </footer>
    </div>
  );
}

mount(Login);

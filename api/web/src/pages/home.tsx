/** The door: to the page that a person works at, or to the login. */

import { get, toLogin } from "../api/client";
import type { Session } from "../api/types";
import { Failed, Waiting } from "../panels/states";
import { useLoad } from "../state/load";
import { homeOf } from "../state/session";
import { mount } from "./mount";

function Home() {
  const asked = useLoad(async (signal) => {
    const session = await get<Session>("/api/v1/session", {}, signal);
    location.replace(homeOf(session));
    return session;
  }, []);
  if (asked.failure?.status === 401) toLogin();
  return <main>{asked.failure ? <Failed problem={asked.failure} again={asked.again} /> : <Waiting />}</main>;
}

mount(Home);

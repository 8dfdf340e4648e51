import type { ComponentChildren } from "preact";
import type { Loading } from "../state/load";
import { Failed, Waiting } from "./states";

/** What was asked for once it is there; until then that it loads, or why it failed. */
export function Shown<T>({ loading, children }: { loading: Loading<T>; children: (value: T) => ComponentChildren }) {
  if (loading.failure) return <Failed problem={loading.failure} again={loading.again} />;
  if (loading.value === null) return <Waiting />;
  return <>{children(loading.value)}</>;
}

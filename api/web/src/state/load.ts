import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Problem } from "../api/client";

export interface Loading<T> {
  value: T | null;
  failure: Problem | null;
  busy: boolean;
  again: () => void;
}

const TRY_AGAIN_MS = 4000;

/**
 * Ask for something whenever `keys` change, and drop answers that come too late.
 *
 * The former value stays while the next is on its way, so that nothing flickers; `null` instead of a promise asks
 * nothing and empties it. Where the network is lost it asks again by itself.
 */
export function useLoad<T>(ask: (signal: AbortSignal) => Promise<T> | null, keys: readonly unknown[]): Loading<T> {
  const [value, setValue] = useState<T | null>(null);
  const [failure, setFailure] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(true);
  const [turn, setTurn] = useState(0);
  const isTrying = useRef(false);
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    const stop = new AbortController();
    const promise = latest.current(stop.signal);
    if (!isTrying.current) setFailure(null);
    isTrying.current = false;
    if (promise === null) {
      setValue(null);
      setBusy(false);
      return;
    }
    setBusy(true);
    promise.then(
      (next) => {
        if (stop.signal.aborted) return;
        setValue(() => next);
        setFailure(null);
        setBusy(false);
      },
      (reason: Error) => {
        if (stop.signal.aborted) return;
        setFailure(reason instanceof Problem ? reason : new Problem(-1, "bug", String(reason)));
        setBusy(false);
      },
    );
    return () => stop.abort();
  }, [...keys, turn]);

  // The words stay until it is known better.
  useEffect(() => {
    if (!failure?.lostNetwork) return;
    const timer = setTimeout(() => {
      isTrying.current = true;
      setTurn((n) => n + 1);
    }, TRY_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [failure]);

  const again = useCallback(() => setTurn((n) => n + 1), []);
  return { value, failure, busy, again };
}

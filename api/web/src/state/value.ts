/** A value that tells when it changes; the pages' only means of shared state. */

import { useEffect, useState } from "preact/hooks";

export class Value<T> {
  private readonly hearers = new Set<(value: T) => void>();

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  set(next: T): void {
    if (Object.is(next, this.current)) return;
    this.current = next;
    for (const hear of [...this.hearers]) hear(next);
  }

  /** Hear of changes until the function that comes back is called. */
  listen(hear: (value: T) => void): () => void {
    this.hearers.add(hear);
    return () => this.hearers.delete(hear);
  }
}

export function useValue<T>(source: Value<T>): T {
  const [value, setValue] = useState(source.value);
  useEffect(() => {
    setValue(() => source.value);
    return source.listen((next) => setValue(() => next));
  }, [source]);
  return value;
}

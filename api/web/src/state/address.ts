/** The address bar holds place, plan and selection, so that a link shows a colleague the same view. */

export function addressed(key: string): string | null {
  return new URLSearchParams(location.search).get(key);
}

export function addressedNumber(key: string): number | null {
  const text = addressed(key);
  const number = text === null || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(number) ? number : null;
}

/** Put values into the address bar; null takes one out. The history of the browser is left alone. */
export function address(values: Record<string, string | number | null>): void {
  const words = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(values)) {
    if (value === null || value === "") words.delete(key);
    else words.set(key, String(value));
  }
  const text = words.toString().replaceAll("%2C", ",");
  const next = text ? `${location.pathname}?${text}` : location.pathname;
  if (next !== location.pathname + location.search) history.replaceState(null, "", next);
}

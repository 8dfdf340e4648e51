/** Files out of the service: fetched at once, or made in the background and waited for. */

import { Problem, path } from "../../api/client";
import { language } from "../../i18n";

const ASK_EVERY_MS = 1500;

/** How far a print is that is made in the background. */
export interface Progress {
  done: number;
  total: number;
}

async function ask(address: string, signal: AbortSignal): Promise<Response> {
  const headers = { "accept-language": language.value };
  const answer = await fetch(address, { credentials: "same-origin", headers, signal });
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Problem(answer.status, String(said.code ?? answer.status), String(said.detail ?? ""));
  }
  return answer;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Fetch a file and hand it to the browser; `tell` hears how far it is while it is made. */
export async function save(
  address: string,
  query: [string, string][],
  signal: AbortSignal,
  tell: (far: Progress) => void = () => undefined,
): Promise<void> {
  const words = new URLSearchParams(query).toString();
  let answer = await ask(words ? `${address}?${words}` : path(address), signal);
  while (answer.status === 202) {
    tell(await answer.json());
    const where = answer.headers.get("location") ?? address;
    await pause(ASK_EVERY_MS);
    answer = await ask(where, signal);
  }
  const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? "plan";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

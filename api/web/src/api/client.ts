/** The one way from the pages to the API: JSON in and out, problem+json as an exception, lost network as a state. */

import { language } from "../i18n";
import { connection } from "../state/connection";

type Query = Record<string, string | number | boolean | null | undefined>;

interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal;
  accept?: string;
}

/** What the API refused, or what came between: `detail` is a sentence for people in their language. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    /** All that the answer says, for refusals that carry more than a sentence. */
    readonly body: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail);
  }

  get lostNetwork(): boolean {
    return this.status === 0;
  }
}

export function path(base: string, query: Query = {}): string {
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") words.set(key, String(value));
  }
  const text = words.toString();
  return text ? `${base}?${text}` : base;
}

async function send(method: string, url: string, { query, body, signal, accept }: Options): Promise<Response> {
  try {
    const answer = await fetch(path(url, query), {
      method,
      signal,
      credentials: "same-origin",
      headers: {
        accept: accept ?? "application/json",
        "accept-language": language.value,
        ...(body === undefined || body instanceof FormData ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined || body instanceof FormData ? body : JSON.stringify(body),
    });
    connection.set("online");
    known ||= answer.ok;
    return answer;
  } catch (reason) {
    if ((reason as Error).name === "AbortError") throw reason;
    connection.set("lost");
    throw new Problem(0, "network", "");
  }
}

async function refusal(answer: Response): Promise<Problem> {
  const body: Record<string, unknown> = await answer.json().catch(() => ({}));
  const detail = typeof body.detail === "string" ? body.detail : typeof body.title === "string" ? body.title : "";
  return new Problem(answer.status, String(body.code ?? answer.status), detail, body);
}

let leaving = false;
/** Whether this page has been answered: who is refused after that is somebody whose session has ended. */
let known = false;

/** Where a signed-out person goes, and comes back from. Once: everything that is refused meanwhile would begin anew. */
export function toLogin(why?: "ended"): void {
  if (leaving || location.pathname.startsWith("/login")) return;
  leaving = true;
  location.replace(path("/login", { next: location.pathname + location.search, why }));
}

async function asked(method: string, url: string, options: Options): Promise<Response> {
  const answer = await send(method, url, options);
  if (!answer.ok) {
    const problem = await refusal(answer);
    const signingIn = url === "/api/v1/session" && method === "POST";
    throw signingIn && problem.status === 401 ? problem : signedIn(problem);
  }
  return answer;
}

async function call<T>(method: string, url: string, options: Options = {}): Promise<T> {
  const answer = await asked(method, url, options);
  return answer.status === 204 ? (undefined as T) : ((await answer.json()) as T);
}

export const get = <T>(url: string, query?: Query, signal?: AbortSignal) => call<T>("GET", url, { query, signal });
/** The answer itself, for what is told in a form of its own, named by a media type. */
export const getAs = (url: string, accept: string, signal?: AbortSignal) => asked("GET", url, { accept, signal });
export const post = <T>(url: string, body: unknown = {}) => call<T>("POST", url, { body });
export const postForm = <T>(url: string, body: FormData) => call<T>("POST", url, { body });
export const put = <T>(url: string, body: unknown) => call<T>("PUT", url, { body });
export const remove = (url: string) => call<void>("DELETE", url);

/** Send a form with a file, telling how many bytes have gone; the browser's `fetch` does not know it. */
export function sendFile<T>(
  url: string,
  form: FormData,
  signal: AbortSignal,
  tell: (sent: number, total: number) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("accept-language", language.value);
    request.upload.onprogress = ({ loaded, total }) => tell(loaded, total);
    request.onload = () => {
      connection.set("online");
      const answer = new Response(request.responseText, { status: request.status });
      if (answer.ok) resolve(answer.json() as Promise<T>);
      else refusal(answer).then((problem) => reject(signedIn(problem)));
    };
    request.onerror = () => {
      connection.set("lost");
      reject(new Problem(0, "network", ""));
    };
    request.onabort = () => reject(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** A refusal; where nobody is signed in any more, on the way to the sign-in page. */
function signedIn(problem: Problem): Problem {
  if (problem.status === 401 || problem.code === "access.must_change_password")
    toLogin(known && problem.status === 401 ? "ended" : undefined);
  return problem;
}

interface Page<T> {
  items?: T[];
  features?: T[];
  next: string | null;
  total: number;
  last_event?: number;
}

interface All<T> {
  rows: T[];
  total: number;
  last_event: number | null;
}

/** All rows of a paged list, up to `most`; `total` tells how many there are, `last_event` which news they have. */
export async function all<T>(url: string, query: Query = {}, most = 5000): Promise<All<T>> {
  const rows: T[] = [];
  let last_event: number | null = null;
  let cursor: string | null = null;
  let total = 0;
  do {
    const page: Page<T> = await get(url, { limit: Math.min(most, 1000), ...query, cursor });
    rows.push(...(page.items ?? page.features ?? []));
    total = page.total;
    last_event ??= page.last_event ?? null; // of the first page: it is the oldest
    cursor = page.next;
  } while (cursor && rows.length < most);
  return { rows, total, last_event };
}

/** The categories that a person reported last, for the first row of the sheet; codes only. */

const KEY = "wangge.recent";
const KEPT = 4;

export function recentCategories(): string[] {
  try {
    const codes: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(codes) ? codes.map(String).slice(0, KEPT) : [];
  } catch {
    return [];
  }
}

export function noteCategory(code: string): void {
  try {
    localStorage.setItem(
      KEY,
      JSON.stringify([code, ...recentCategories().filter((one) => one !== code)].slice(0, KEPT)),
    );
  } catch {
    // Without a store the sheet simply has no first row.
  }
}

/** Line icons, 24 × 24, drawn in the colour of the text. Always beside words, so hidden from screen readers. */

const PATHS = {
  grid: "M4 4h16v16H4zM4 10h16M12 10v10",
  bell: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 20h4",
  walk: "M13 4.5a1.5 1.5 0 1 0 0-.1M9 21l2-6 3 2v5M8 12l2-4 4 1 2 3 3 1M11 9l-1 6",
  user: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-4 4-6 8-6s8 2 8 6",
  language: "M3 6h10M8 4v2M5 15c4-2 6-5 6-9M6 9c1 3 3 5 6 6M13 21l4-10 4 10M14.5 18h5",
  exit: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  close: "M6 6l12 12M18 6L6 18",
  search: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM15.500 15.500L21 21",
  gate: "M3 21V8l9-5 9 5v13M3 21h18M9 21v-8h6v8",
  target: "M12 3v4M12 17v4M3 12h4M17 12h4M12 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10z",
  play: "M7 5l12 7-12 7z",
  check: "M5 13l5 5L20 7",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  report: "M6 3h9l4 4v14H6zM14 3v5h5M9 13h7M9 17h7",
  download: "M12 4v12M7 11l5 5 5-5M4 16v4h16v-4",
  publish: "M12 16V4M7 9l5-5 5 5M4 16v4h16v-4",
  warn: "M12 4l9 16H3zM12 10v5M12 17.5v.5",
  error: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM9 9l6 6M15 9l-6 6",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v6M12 7.5v.5",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2 20c0-4 3-6 7-6s7 2 7 6M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5c2.5.7 4 2.500 4 5.500",
  phone: "M5 4h4l2 5-2.500 1.500a12 12 0 0 0 5 5L15 13l5 2v4a2 2 0 0 1-2 2A15 15 0 0 1 3 6a2 2 0 0 1 2-2z",
  building: "M5 21V4h9v17M14 9h5v12M3 21h18M8 8h3M8 12h3M8 16h3",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.1M4 12h.1M4 18h.1",
  map: "M3 6l6-2 6 2 6-2v14l-6 2-6-2-6 2zM9 4v14M15 6v14",
  plus: "M12 5v14M5 12h14",
  send: "M4 12l16-8-6 16-3-7z",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l4 2",
  arrow: "M12 20V5M6 11l6-6 6 6",
  pin: "M12 21c5-6 7-9 7-12a7 7 0 0 0-14 0c0 3 2 6 7 12zM12 11.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z",
  wifi: "M3 9c5-5 13-5 18 0M6 13c3.500-3.500 8.500-3.500 12 0M9.500 16.500c1.500-1.500 3.500-1.500 5 0M12 20v.1",
  back: "M15 5l-7 7 7 7",
  filter: "M4 5h16l-6 8v6l-4-2v-4z",
  refresh: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
  wrench: "M14 7a4 4 0 0 1 5-4l-2 3 2 2 3-2a4 4 0 0 1-5 5l-9 9a2 2 0 0 1-3-3z",
  road: "M7 21L10 3M17 21L14 3M12 5v2M12 11v2M12 17v2",
  tree: "M12 22v-8M12 14a5 5 0 0 1-4-8 4 4 0 0 1 8 0 5 5 0 0 1-4 8z",
  noise: "M4 10v4h4l5 4V6l-5 4zM16 9c1.500 2 1.500 4 0 6M19 6c3 4 3 8 0 12",
  trolley: "M4 7h12l3 6v4H4zM8 20a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM16 20a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  cursor: "M6 3l12 9-6 1-3 6z",
  brush: "M20 4c-5 2-9 6-11 9l2 2c3-2 7-6 9-11zM8 14c-3 0-3 3-5 5 3 1 7 0 7-3z",
  lasso: "M12 4c5 0 9 2 9 5.500s-4 5.500-9 5.500-9-2-9-5.500S7 4 12 4zM6 14c-2 2 0 4 1 4s1 2-1 3",
  cut: "M4 4l12 13M20 4L8 17M6 21a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM18 21a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5z",
  border: "M3 17c3-6 5 2 8-3s3-9 6-7M17 4l4 4M15 14h6M18 11v6",
  split: "M12 3v18M4 6h4v12H4zM16 6h4v12h-4z",
  merge: "M4 5h6v14H4zM14 5h6v14h-6zM10 12h4",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
  unlock: "M6 11h12v9H6zM8.500 11V7a3.500 3.500 0 0 1 7-.5",
  undo: "M9 6L4 11l5 5M4 11h10a5 5 0 0 1 0 10h-3",
  redo: "M15 6l5 5-5 5M20 11H10a5 5 0 0 0 0 10h3",
  star: "M12 3.500l2.500 5.500 6 .7-4.400 4 1.200 6L12 16.700l-5.300 3 1.200-6-4.400-4 6-.7z",
  pen: "M4 20l1-5L16 4l4 4L9 19z",
  tower: "M7 21V3h10v18M4 21h16M7 9h10M7 15h10M12 3v18",
  help: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.4-1 .8-1 1.700M12 16.500v.1",
  into: "M4 12h11M11 7l5 5-5 5M20 4v16",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, turn = 0, size = 20 }: { name: IconName; turn?: number; size?: number }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 24 24"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} transform={turn ? `rotate(${turn} 12 12)` : undefined} />
    </svg>
  );
}

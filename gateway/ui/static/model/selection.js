/**
 * What is selected: names of the present place, ranges, totals. Survives sort and filter.
 */
import { computed, effect, signal, untracked } from "../lib/dom.js";
import { current, positionOf, rowAt, visible } from "./listing.js";

/** @type {import("../lib/dom.js").Signal<ReadonlySet<string>>} */
export const selected = signal(/** @type {ReadonlySet<string>} */ (new Set()));
/** The row that keys act on; "" where there is none yet. */
export const focused = signal("");
/** Names that rows get by a rename, so that the focus goes along. @type {Map<string, string>} */
export const heirs = new Map();
let anchor = "";

effect(() => {
  current.value;
  untracked(clear);
});

export function clear() {
  anchor = "";
  if (selected.peek().size) selected.value = new Set();
}

/** @param {string} name */
export function toggle(name) {
  const next = new Set(selected.peek());
  if (!next.delete(name)) next.add(name);
  anchor = name;
  selected.value = next;
}

/** @param {string} name */
export function only(name) {
  anchor = name;
  selected.value = new Set([name]);
}

/** From the anchor to a name, as the rows are shown. @param {string} name @param {string} [start] where it begins when there is no anchor yet */
export function range(name, start = focused.peek()) {
  const from = positionOf(anchor || start || name);
  const to = positionOf(name);
  if (from < 0 || to < 0) {
    only(name);
    return;
  }
  const next = new Set();
  for (let i = Math.min(from, to); i <= Math.max(from, to); i += 1) {
    const row = rowAt(i);
    if (row) next.add(row.name);
  }
  if (!anchor) anchor = /** @type {string} */ (rowAt(from)?.name);
  selected.value = next;
}

/** All rows that are shown, of those loaded. */
export function all() {
  const rows = current.peek()?.rows ?? [];
  selected.value = new Set(Array.from(visible.peek(), (i) => rows[i].name));
}

/** @type {import("../lib/dom.js").Signal<{count: number, bytes: number, folders: number, hidden: number}>} */
export const totals = computed(() => {
  const listing = current.value;
  listing?.version.value;
  const names = selected.value;
  let bytes = 0;
  let folders = 0;
  let count = 0;
  for (const name of names) {
    const row = listing?.find(name);
    if (!row) continue;
    count += 1;
    if (row.folder) folders += 1;
    else bytes += row.size;
  }
  return { count, bytes, folders, hidden: hiddenOf(listing, names) };
});

/** How many selected rows the filter hides. @param {import("./listing.js").Listing | null} listing @param {ReadonlySet<string>} names */
function hiddenOf(listing, names) {
  if (!listing || !names.size || visible.value.length === listing.rows.length) return 0;
  const shown = new Set(Array.from(visible.value, (i) => listing.rows[i].name));
  let hidden = 0;
  for (const name of names) if (!shown.has(name)) hidden += 1;
  return hidden;
}

/** Rows that an action is about: the selection, else the focused row. @returns {import("./listing.js").Row[]} */
export function subjects() {
  const listing = current.peek();
  if (!listing) return [];
  const names = selected.peek().size ? [...selected.peek()] : focused.peek() ? [focused.peek()] : [];
  return names.map((name) => listing.find(name)).filter((row) => row !== undefined);
}

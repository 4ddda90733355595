/**
 * The rows of a place: pages as they come, a soft cap, freshness, and the last places kept.
 *
 * Rows are a plain array in key order with a version signal beside it; `visible` holds the indices
 * that are shown. Rows already drawn never move unless the person sorts.
 */
import { batch, effect, signal, untracked } from "../lib/dom.js";
import { worker } from "../lib/worker.js";
import { PAGE, list, listPage } from "../s3/list.js";
import { compare } from "../s3/names.js";
import { isAbort } from "../s3/send.js";
import { heard, tell } from "./bus.js";
import { WORKER_ABOVE, columns, filtered, foldersFirst, sorted } from "./order.js";
import { place } from "./place.js";
import { grantedBelow, status, who } from "./session.js";

/** @typedef {{name: string, folder: boolean, size: number, modified: number, cls: string}} Row */

export const SOFT_CAP = 20_000; // rows; a person does not read more, a browser holds more
export const HARD_CAP = 200_000; // rows; past it only the jump helps
const PLACES_KEPT = 20;
const ROWS_KEPT = 60_000; // rows of places left behind, to keep memory flat
const STALE_AFTER = 30_000; // ms
const RETRY_SECONDS = [2, 4, 8, 16, 30];

export class Listing {
  /** @param {string} bucket @param {string} prefix @param {string} starts */
  constructor(bucket, prefix, starts) {
    this.bucket = bucket;
    this.prefix = prefix;
    this.starts = starts;
    /** @type {Row[]} */
    this.rows = [];
    this.version = signal(0);
    this.state = signal(/** @type {"idle" | "loading" | "done" | "capped" | "full" | "stopped" | "failed"} */ ("idle"));
    this.failure = signal(/** @type {import("../s3/send.js").Failure | null} */ (null));
    /** When the next try comes, in ms of the clock; 0 where none is planned. */
    this.retryAt = signal(0);
    this.cap = SOFT_CAP;
    this.token = "";
    this.pages = 0;
    /** Whether one page holds it all: then folders stand first, also while it is asked again. */
    this.fits = false;
    this.loaded = 0;
    this.tries = 0;
    /** Levels above a granted prefix are drawn from the grant. */
    this.fromGrants = false;
    /** @type {AbortController | null} */
    this.running = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  get complete() {
    return this.state.value === "done";
  }

  /** Starts or goes on; pages already here stay. */
  enter() {
    const below = grantedBelow(this.bucket, this.prefix);
    if (below.length) {
      this.drawGrants(below);
      return;
    }
    this.fromGrants = false;
    if (this.state.peek() === "idle" || this.state.peek() === "loading" || this.state.peek() === "failed") this.run();
    else if (Date.now() - this.loaded > STALE_AFTER) this.refresh();
  }

  /** Aborts what runs. Rows stay for the way back. */
  leave() {
    this.running?.abort();
    this.running = null;
    clearTimeout(this.timer);
    this.retryAt.value = 0;
  }

  stop() {
    this.leave();
    this.state.value = "stopped";
  }

  more() {
    this.cap = Math.min(this.rows.length + SOFT_CAP, HARD_CAP);
    this.run();
  }

  /** @param {string[]} prefixes */
  drawGrants(prefixes) {
    const names = [...new Set(prefixes.map((prefix) => prefix.slice(this.prefix.length).split("/")[0] + "/"))];
    this.fromGrants = this.fits = true;
    this.rows = names.sort(compare).map(folderRow);
    this.state.value = "done";
    this.version.value += 1;
  }

  async run() {
    this.leave();
    const controller = new AbortController();
    this.running = controller;
    if (!this.token) this.pages = 0;
    batch(() => {
      this.state.value = "loading";
      this.failure.value = null;
    });
    try {
      const pages = list(this.bucket, { prefix: this.prefix + this.starts, token: this.token, signal: controller.signal });
      for await (const page of pages) {
        if (controller.signal.aborted) return;
        this.tries = 0;
        this.take(page);
        if (this.rows.length >= this.cap && page.token) {
          this.state.value = this.rows.length >= HARD_CAP ? "full" : "capped";
          this.running = null;
          return;
        }
      }
      this.running = null;
      this.fits = this.pages <= 1;
      batch(() => {
        this.state.value = "done";
        this.version.value += 1;
      });
    } catch (error) {
      if (isAbort(error) || controller.signal.aborted) return;
      this.running = null;
      this.refused(/** @type {import("../s3/send.js").Failure} */ (error), () => this.run());
    }
  }

  /** @param {import("../s3/send.js").Failure} failure @param {() => void} again */
  refused(failure, again) {
    batch(() => {
      this.failure.value = failure;
      this.state.value = "failed";
    });
    if (!failure.transient) return;
    const wait = Math.min(30, Math.max(failure.retryAfter, RETRY_SECONDS[Math.min(this.tries, RETRY_SECONDS.length - 1)]));
    this.tries += 1;
    this.retryAt.value = Date.now() + wait * 1000;
    this.timer = setTimeout(again, wait * 1000);
  }

  /** @param {import("../s3/list.js").ListPage} page */
  take(page) {
    const rows = this.rowsOf(page);
    // Rows of our own making may stand behind the end of what was loaded.
    const last = this.rows.at(-1);
    if (last && rows.length && compare(rows[0].name, last.name) <= 0) this.replace(rows, rows[0].name, page.token ? rows[rows.length - 1].name : null);
    else for (const row of rows) this.rows.push(row);
    this.token = page.token;
    this.pages += 1;
    if (this.pages > 1) this.fits = false;
    this.loaded = Date.now();
    this.version.value += 1;
  }

  /** The entries of a page as rows, merged in key order. @param {import("../s3/list.js").ListPage} page @returns {Row[]} */
  rowsOf(page) {
    const cut = this.prefix.length;
    /** @type {Row[]} */
    const rows = [];
    const { keys, prefixes } = page;
    let p = 0;
    for (const entry of keys) {
      const name = entry.Key.slice(cut);
      // The empty object that stands for this very prefix is no row of it.
      if (name === "") continue;
      while (p < prefixes.length && compare(prefixes[p], entry.Key) < 0) rows.push(folderRow(prefixes[p++].slice(cut)));
      rows.push({ name, folder: false, size: Number(entry.Size), modified: Date.parse(entry.LastModified), cls: entry.StorageClass ?? "STANDARD" });
    }
    while (p < prefixes.length) rows.push(folderRow(prefixes[p++].slice(cut)));
    return rows;
  }

  /** Index of the first row that is not before the name. @param {string} name */
  position(name) {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.rows[middle].name, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {string} name @returns {Row | undefined} */
  find(name) {
    const row = this.rows[this.position(name)];
    return row?.name === name ? row : undefined;
  }

  /** Puts rows in the place of those between two names. @param {Row[]} rows @param {string} from @param {string | null} to null: up to the end */
  replace(rows, from, to) {
    const low = this.position(from);
    const high = to === null ? this.rows.length : this.position(to) + (this.find(to) ? 1 : 0);
    const old = this.rows.slice(low, high);
    const same = old.length === rows.length && old.every((row, i) => row.name === rows[i].name && row.size === rows[i].size && row.modified === rows[i].modified);
    if (same) return;
    this.rows = [...this.rows.slice(0, low), ...rows, ...this.rows.slice(high)];
    this.version.value += 1;
  }

  /** Own changes appear at once. @param {Row} row */
  upsert(row) {
    if (!row.name.startsWith(this.starts)) return;
    const i = this.position(row.name);
    if (this.rows[i]?.name === row.name) this.rows[i] = row;
    else this.rows = [...this.rows.slice(0, i), row, ...this.rows.slice(i)];
    this.version.value += 1;
  }

  /** @param {Iterable<string>} names */
  drop(names) {
    const gone = new Set(names);
    this.rows = this.rows.filter((row) => !gone.has(row.name));
    this.version.value += 1;
  }

  /** Asks again: the first page, or all that was loaded. @param {{all?: boolean}} [options] */
  async refresh({ all = false } = {}) {
    if (this.fromGrants) return;
    if (this.running || this.state.peek() === "failed" || this.state.peek() === "idle") {
      this.run();
      return;
    }
    const controller = new AbortController();
    this.running = controller;
    try {
      let from = "";
      let token = "";
      do {
        const page = await listPage(this.bucket, { prefix: this.prefix + this.starts, token, signal: controller.signal });
        const rows = this.rowsOf(page);
        const end = page.token && rows.length ? rows[rows.length - 1].name : null;
        if (end === null || this.rows.length > 0) this.replace(rows, from, end);
        token = page.token;
        if (!token) {
          this.token = "";
          this.state.value = "done";
        } else if (end !== null && this.position(end) + 1 >= this.rows.length) {
          // All that was loaded has been asked again; more may be behind it.
          this.token = token;
          this.running = null;
          if (this.state.peek() === "done") this.run();
          break;
        }
        from = `${end}\u0000`;
      } while (all && token);
      this.loaded = Date.now();
    } catch (error) {
      if (!isAbort(error)) {
        this.failure.value = /** @type {import("../s3/send.js").Failure} */ (error);
        if (/** @type {any} */ (error).status === 403) this.refused(/** @type {any} */ (error), () => this.run());
      }
    } finally {
      if (this.running === controller) this.running = null;
    }
  }
}

/** @param {string} name @returns {Row} */
export const folderRow = (name) => ({ name, folder: true, size: NaN, modified: NaN, cls: "" });

/** @type {Map<string, Listing>} */
const places = new Map();
/** @type {import("../lib/dom.js").Signal<Listing | null>} */
export const current = signal(/** @type {Listing | null} */ (null));
/** Indices into the rows of `current`, in the order shown. */
export const visible = signal(/** @type {Uint32Array} */ (new Uint32Array(0)));

/** @param {string} bucket @param {string} prefix @param {string} [starts] */
const nameOf = (bucket, prefix, starts = "") => `${bucket}/${prefix}\n${starts}`;

/** @param {string} bucket @param {string} prefix @param {string} starts */
function listingOf(bucket, prefix, starts) {
  const name = nameOf(bucket, prefix, starts);
  const listing = places.get(name) ?? new Listing(bucket, prefix, starts);
  places.delete(name);
  places.set(name, listing);
  let rows = 0;
  for (const [other, old] of [...places].reverse()) {
    rows += old.rows.length;
    if (other !== name && (places.size > PLACES_KEPT || rows > ROWS_KEPT)) places.delete(other);
  }
  return listing;
}

/** Follows the place. */
effect(() => {
  const { page, bucket, prefix, starts } = place.value;
  const signedIn = who.value !== null;
  untracked(() => {
    const before = current.peek();
    if (page !== "browse" || !signedIn) {
      before?.leave();
      current.value = null;
      return;
    }
    if (before && before.bucket === bucket && before.prefix === prefix && before.starts === starts) {
      if (before.state.peek() === "failed") before.enter();
      return;
    }
    before?.leave();
    const listing = listingOf(bucket, prefix, starts);
    current.value = listing;
    listing.enter();
  });
});

/** Forgets every row, when somebody else signs in or a session comes back. */
export function forgetRows() {
  for (const listing of places.values()) listing.leave();
  places.clear();
  const { bucket, prefix, starts } = place.peek();
  if (current.peek()) {
    current.value = listingOf(bucket, prefix, starts);
    current.peek()?.enter();
  }
}

let lastOwner = "";
effect(() => {
  const person = who.value;
  const state = status.value;
  untracked(() => {
    const name = person ? `${person.issuer}\n${person.subject}` : "";
    if (lastOwner && name && name !== lastOwner) forgetRows();
    else if (state === "in" && current.peek()?.state.peek() === "failed") current.peek()?.run();
    if (name) lastOwner = name;
  });
});

// Order ---------------------------------------------------------------------------------------

const RESORT_EVERY = 1000; // ms, while pages arrive
let resorted = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let resorting;
/** @type {Worker | null} */
let sorter = null;
let asked = 0;

effect(() => {
  const listing = current.value;
  const { sort, filter } = place.value;
  listing?.version.value;
  clearTimeout(resorting);
  if (!listing) {
    visible.value = new Uint32Array(0);
    return;
  }
  const state = listing.state.peek();
  const wait = sort && state === "loading" && listing.pages > 1 ? RESORT_EVERY - (Date.now() - resorted) : 0;
  if (wait > 0) resorting = setTimeout(() => untracked(() => arrange(listing, sort, filter)), wait);
  else untracked(() => arrange(listing, sort, filter));
});

/** @param {Listing} listing @param {string} sort @param {string} filter */
function arrange(listing, sort, filter) {
  const { rows } = listing;
  const indices = filtered(rows, filter);
  resorted = Date.now();
  asked += 1;
  if (!sort) {
    visible.value = listing.fits ? foldersFirst(rows, indices) : indices;
  } else if (indices.length <= WORKER_ABOVE) {
    visible.value = sorted(indices, columns(rows, sort), sort);
  } else {
    sorter ??= worker("order");
    sorter.onmessage = ({ data }) => {
      // A later question makes this answer old.
      if (data.id === asked) visible.value = data.result;
    };
    sorter.postMessage({ id: asked, indices, columns: columns(rows, sort), sort });
  }
}

/** @param {number} position in the list as shown @returns {Row | undefined} */
export const rowAt = (position) => current.peek()?.rows[visible.peek()[position]];

/** Position of a name in the list as shown; −1 where it is not. @param {string} name */
export function positionOf(name) {
  const listing = current.peek();
  if (!listing) return -1;
  const i = listing.position(name);
  return listing.rows[i]?.name === name ? visible.peek().indexOf(i) : -1;
}

// Freshness -----------------------------------------------------------------------------------

addEventListener("focus", () => {
  const listing = current.peek();
  if (listing && status.peek() === "in" && Date.now() - listing.loaded > STALE_AFTER && ["done", "capped"].includes(listing.state.peek())) listing.refresh();
});

// Back on the line: what the silence refused is asked again, without waiting for the next try.
addEventListener("online", () => {
  if (current.peek()?.state.peek() === "failed") current.peek()?.run();
});

heard("changed", ({ bucket, prefix }) => touched(bucket, prefix));

/** Something changed at a place: shown at once where it is on screen, forgotten where it is kept. @param {string} bucket @param {string} prefix */
function touched(bucket, prefix) {
  for (const [name, listing] of places) {
    if (listing.bucket !== bucket) continue;
    if (listing === current.peek() && (listing.prefix === prefix || prefix.startsWith(listing.prefix))) listing.refresh({ all: listing.rows.length <= 5 * PAGE });
    else if (listing !== current.peek() && (prefix.startsWith(listing.prefix) || listing.prefix.startsWith(prefix))) places.delete(name);
  }
}

/** Tells this page and the other tabs that a prefix changed. @param {string} bucket @param {string} prefix */
export function changed(bucket, prefix) {
  touched(bucket, prefix);
  tell({ kind: "changed", bucket, prefix });
}

/** An object was written: its row is there without asking. @param {string} bucket @param {string} key @param {number} size */
export function appeared(bucket, key, size) {
  for (const listing of places.values()) {
    if (listing.bucket !== bucket || !key.startsWith(listing.prefix) || key === listing.prefix) continue;
    const rest = key.slice(listing.prefix.length);
    const slash = rest.indexOf("/");
    if (slash >= 0) {
      const name = rest.slice(0, slash + 1);
      if (!listing.find(name)) listing.upsert(folderRow(name));
    } else listing.upsert({ name: rest, folder: false, size, modified: Date.now(), cls: "STANDARD" });
  }
  announceChange(bucket, key.slice(0, key.lastIndexOf("/") + 1));
}

/** @param {string} bucket @param {string[]} keys keys, or prefixes ending in a slash */
export function vanished(bucket, keys) {
  for (const listing of places.values()) {
    if (listing.bucket !== bucket) continue;
    const names = keys.filter((key) => key.startsWith(listing.prefix)).map((key) => key.slice(listing.prefix.length));
    if (names.length) listing.drop(names);
  }
  for (const key of keys.slice(0, 50)) announceChange(bucket, key.replace(/[^/]*\/?$/, ""));
}

/** @type {Map<string, ReturnType<typeof setTimeout>>} */
const announcing = new Map();

/** Other tabs hear of a place at most once a second. @param {string} bucket @param {string} prefix */
function announceChange(bucket, prefix) {
  const name = nameOf(bucket, prefix);
  if (announcing.has(name)) return;
  const announce = () => {
    announcing.delete(name);
    tell({ kind: "changed", bucket, prefix });
  };
  announcing.set(name, setTimeout(announce, 1000));
}

/**
 * What the page shows of uploads: the signals, apart from the machinery that moves them, which is
 * loaded when the first file comes or an earlier page left something.
 */
import { computed, effect, signal, untracked } from "../lib/dom.js";
import { owner, status } from "../model/session.js";
import { kept } from "../model/store.js";

/** @typedef {import("./queue.js").Upload} Upload */

/** Uploads in order; replaced, never changed in place. @type {import("../lib/dom.js").Signal<Upload[]>} */
export const uploads = signal(/** @type {Upload[]} */ ([]));
/** Bumped when any upload changes its phase. */
export const phases = signal(0);
export const pace = signal({ bytesPerSecond: 0, secondsLeft: NaN });
/** Uploads that wait for a decision. */
export const conflicts = signal(/** @type {Upload[]} */ ([]));
/** Bytes sent of all, painted with the progress. */
export const sentTotal = signal(0);
/** Whether the tray has anything to show. */
export const trayWanted = signal(false);

export const summary = computed(() => {
  phases.value;
  const sum = { all: 0, done: 0, failed: 0, running: 0, paused: 0, conflict: 0, orphaned: 0, bytes: 0 };
  for (const upload of uploads.value) {
    const { phase } = upload.state.peek();
    if (phase === "cancelled" || phase === "skipped") continue;
    sum.all += 1;
    sum.bytes += upload.size;
    if (phase === "done" || phase === "failed" || phase === "paused" || phase === "conflict" || phase === "orphaned") sum[phase] += 1;
    else sum.running += 1;
  }
  return sum;
});

/** How far all uploads are, 0 to 1. */
export const share = computed(() => (summary.value.bytes ? Math.min(1, sentTotal.value / summary.value.bytes) : 0));
export const busy = computed(() => summary.value.running + summary.value.conflict > 0);

/** Adds files to the queue. @param {string} bucket @param {string} prefix @param {AsyncIterable<import("./sources.js").Source>} sources */
export async function add(bucket, prefix, sources) {
  trayWanted.value = true;
  const queue = await import("./queue.js");
  return queue.add(bucket, prefix, sources);
}

/** What an earlier page left unfinished brings the tray back. */
effect(() => {
  const person = owner.value;
  if (!person || status.value !== "in") return;
  untracked(async () => {
    const rows = await Promise.all([kept("uploads", person), kept("jobs", person)]);
    if (rows.some((list) => list.length)) trayWanted.value = true;
  });
});

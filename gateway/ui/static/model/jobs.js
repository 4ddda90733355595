/**
 * Jobs of the server (copy, move, rename, delete of many keys): start, follow, cancel.
 * Their ids are kept in the browser's store, so that a reload finds them again.
 */
import { effect, signal, untracked } from "../lib/dom.js";
import { isAbort, send } from "../s3/send.js";
import { parent } from "../s3/names.js";
import { changed, vanished } from "./listing.js";
import { owner, status } from "./session.js";
import { trayWanted } from "../upload/board.js";
import { forget, keep, kept } from "./store.js";

/** @typedef {{bucket: string, key?: string, prefix?: string, only?: string[]}} Source `only`: of a prefix, these keys. */
/** @typedef {{bucket: string, key: string, code: string, message: string}} Failed */
/** @typedef {{operation: "copy"|"move"|"rename"|"delete", sources: Source[], destination?: Source, if_exists?: "fail"|"replace"|"skip"|"rename", dry_run?: boolean}} Order */
/** @typedef {{state: "counting"|"running"|"done"|"failed"|"cancelled"|"interrupted", changes: number, counted: {objects: number, bytes: number, complete: boolean}, done: {objects: number, bytes: number}, skipped: number, failures: number, failed: Failed[]}} Progress `failures`: how many; `failed` names all of them when the job is over. */

/** @type {Progress} */
const NOTHING = { state: "counting", changes: 0, counted: { objects: 0, bytes: 0, complete: false }, done: { objects: 0, bytes: 0 }, skipped: 0, failures: 0, failed: [] };
const OVER = new Set(["done", "failed", "cancelled", "interrupted"]);

export class Job {
  /** @param {string} id @param {Order} order @param {string} label */
  constructor(id, order, label) {
    this.id = id;
    this.order = order;
    this.label = label;
    this.owner = owner.peek();
    this.progress = signal(NOTHING);
    /** Set while the server does not answer about it. */
    this.failure = signal(/** @type {import("../s3/send.js").Failure | null} */ (null));
    this.watching = new AbortController();
  }

  get over() {
    return OVER.has(this.progress.value.state);
  }
}

/** Jobs of this person, newest last. @type {import("../lib/dom.js").Signal<Job[]>} */
export const jobs = signal(/** @type {Job[]} */ ([]));
/** The last job that ended, for the announcement. */
export const ended = signal(/** @type {Job | null} */ (null));

/** @param {Order} order @returns {Promise<string>} the job's id */
async function post(order) {
  const { body } = await send({ method: "POST", url: "/api/jobs", headers: { "Content-Type": "application/json" }, body: JSON.stringify(order), as: "json" });
  return body.id;
}

/** Starts a job and follows it in the tray. @param {Order} order @param {string} label */
export async function start(order, label) {
  const job = new Job(await post(order), order, label);
  trayWanted.value = true;
  jobs.value = [...jobs.peek(), job];
  keep("jobs", { id: job.id, owner: job.owner, order, label });
  follow(job);
  return job;
}

/**
 * Counts what a job would touch, without touching it. The job reports as it counts.
 * @param {Order} order
 */
export async function count(order) {
  const job = new Job(await post({ ...order, dry_run: true }), order, "");
  follow(job);
  return job;
}

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {Job} job */
async function follow(job) {
  const { signal: stop } = job.watching;
  let tries = 0;
  let first = true;
  while (!job.over && !stop.aborted) {
    try {
      const { body } = await send({ url: `/api/jobs/${encodeURIComponent(job.id)}${first ? "" : `?wait=10&seen=${job.progress.peek().changes}`}`, as: "json", signal: stop, quiet: tries > 0 });
      tries = 0;
      first = false;
      job.failure.value = null;
      job.progress.value = { ...NOTHING, ...body };
    } catch (error) {
      if (isAbort(error)) return;
      const failure = /** @type {import("../s3/send.js").Failure} */ (error);
      if (failure.status === 404) {
        job.progress.value = { ...job.progress.peek(), state: "interrupted" };
        break;
      }
      job.failure.value = failure;
      await pause(Math.min(30, 2 ** tries) * 1000);
      tries += 1;
    }
  }
  if (!job.label || stop.aborted) return;
  forget("jobs", job.id);
  settle(job);
}

/** What the end of a job means for the lists. @param {Job} job */
function settle(job) {
  const { operation, sources, destination } = job.order;
  const failed = new Set(job.progress.peek().failed.map(({ key }) => key));
  if (operation !== "copy" && job.progress.peek().state === "done") {
    const byBucket = Map.groupBy ? Map.groupBy(sources, ({ bucket }) => bucket) : new Map([[sources[0].bucket, sources]]);
    for (const [bucket, list] of byBucket) {
      const gone = list.map(({ key, prefix }) => key ?? prefix ?? "").filter((name) => ![...failed].some((key) => key === name || (name.endsWith("/") && key.startsWith(name))));
      if (!job.progress.peek().skipped) vanished(bucket, gone);
      for (const name of list.slice(0, 20)) changed(bucket, parent(name.key ?? name.prefix ?? ""));
    }
  } else if (operation !== "copy") for (const { bucket, key, prefix } of sources.slice(0, 20)) changed(bucket, parent(key ?? prefix ?? ""));
  if (destination) changed(destination.bucket, destination.key ? parent(destination.key) : operation === "rename" ? parent(destination.prefix ?? "") : (destination.prefix ?? ""));
  ended.value = job;
}

/** @param {Job} job */
export async function cancel(job) {
  await send({ method: "DELETE", url: `/api/jobs/${encodeURIComponent(job.id)}`, as: "text", quiet: true }).catch(() => {});
}

/** Ends a count that is no longer wanted. @param {Job} job */
export function drop(job) {
  job.watching.abort();
  if (!OVER.has(job.progress.peek().state)) cancel(job);
}

/** Runs the failed ones again, each to where it would have gone the first time. @param {Job} job */
export function retryFailed(job) {
  return start({ ...job.order, sources: remaining(job.order.sources, job.progress.peek().failed) }, job.label);
}

/**
 * What of the sources failed. A failure without a key is the job's own: then it is all of them.
 * @param {Source[]} sources @param {Failed[]} failed @returns {Source[]}
 */
export function remaining(sources, failed) {
  if (failed.some(({ key }) => !key)) return sources;
  return sources.flatMap((source) => {
    const keys = failed.filter(({ bucket, key }) => bucket === source.bucket && (source.key === key || (source.key === undefined && key.startsWith(source.prefix ?? "")))).map(({ key }) => key);
    if (!keys.length) return [];
    return [source.key === undefined ? { ...source, only: keys } : source];
  });
}

export function clearOver() {
  jobs.value = jobs.peek().filter((job) => !OVER.has(job.progress.peek().state));
}

/** @param {Job} job */
export const dismiss = (job) => (jobs.value = jobs.peek().filter((other) => other !== job));

effect(() => {
  const person = owner.value;
  if (!person || status.value !== "in") return;
  untracked(async () => {
    const rows = await kept("jobs", person);
    const known = new Set(jobs.peek().map(({ id }) => id));
    const found = rows.filter(({ id }) => !known.has(id)).map((row) => new Job(row.id, row.order, row.label));
    if (!found.length || person !== owner.peek()) return;
    jobs.value = [...jobs.peek(), ...found];
    found.forEach(follow);
  });
});

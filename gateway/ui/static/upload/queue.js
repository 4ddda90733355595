/**
 * All uploads of this page: their order, their groups, limits, totals, speed and time left.
 */
import { batch, effect, signal, untracked } from "../lib/dom.js";
import { appeared } from "../model/listing.js";
import { missing, online, owner, status } from "../model/session.js";
import { forget, keep, kept } from "../model/store.js";
import { ACTIVE, ENDED, RUNNING, begin, orphan, step } from "./machine.js";
import { conflicts, pace, phases, sentTotal, uploads } from "./board.js";
import { fingerprint, typeOf } from "./files.js";
import { leftOut } from "./sources.js";
import { perform, throttle } from "./transfer.js";

/** @typedef {import("./machine.js").State} State */
/** @typedef {import("./machine.js").Event} Event */
/** @typedef {{id: string, bucket: string, prefix: string, decision: import("./machine.js").Decision, reading: boolean, left: number, folded: boolean}} Group */

export const FILES_STARTED = 4;

/** One file on its way. What changes is in `state` and `sent`. */
export class Upload {
  /** @param {Group} group @param {string} key @param {File | null} file */
  constructor(group, key, file) {
    this.id = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
    this.group = group;
    this.owner = owner.peek();
    this.bucket = group.bucket;
    this.key = key;
    this.file = file;
    this.size = file?.size ?? 0;
    this.lastModified = file?.lastModified ?? 0;
    this.type = file ? typeOf(file) : "";
    this.uploadId = "";
    this.partSize = 0;
    this.fingerprint = "";
    /** Brings the file back after a reload, where the browser gave one. @type {FileSystemFileHandle | null} */
    this.handle = null;
    /** Whether the browser's store has it. */
    this.kept = false;
    /** Facts of what is there already, for the conflict dialog. @type {{size: number, modified: string} | null} */
    this.there = null;
    /** Names that "keep both" tried. @type {Set<string>} */
    this.tried = new Set();
    this.state = signal(begin(group.decision));
    /** Bytes that the server has or is being sent, as painted; `bytes` runs ahead of it. */
    this.sent = signal(0);
    this.bytes = 0;
    this.completionSent = false;
    /** Whether If-None-Match can be used: some servers answer 501. */
    this.conditional = true;
    /** Whether bodies carry their SHA-256 (UI-57). */
    this.checked = Boolean(globalThis.crypto?.subtle);
    /** @type {AbortController | null} */
    this.running = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  get phase() {
    return this.state.peek().phase;
  }
}

/** What was left out of drops, to be said once. */
export const leftOutNames = signal(0);

/** @param {Upload} upload @param {Event} event */
export function dispatch(upload, event) {
  if (!applied(upload, event)) return;
  tick();
  pump();
}

/** Uploads under way, counted as they change: a drop may hold 50 000. */
let active = 0;
/** No upload before this one waits. */
let firstWaiting = 0;

const SENDING = new Set(["start", "resume", "retry", "file", "again"]);

/** @param {import("./machine.js").Phase} phase */
const underWay = (phase) => ACTIVE.has(phase) || phase === "retrying";

/** Takes one upload a step further; whether it moved. @param {Upload} upload @param {Event} event */
function applied(upload, event) {
  // UI-18: what one person began is not sent in the name of another.
  if (SENDING.has(event.type) && upload.owner !== owner.peek()) return false;
  const before = upload.state.peek();
  const { state, effects } = step(before, event);
  if (state === before) return false;
  active += Number(underWay(state.phase)) - Number(underWay(before.phase));
  if (state.phase === "waiting") firstWaiting = 0;
  batch(() => {
    upload.state.value = state;
    if (state.phase !== before.phase) moved();
    conflicts.value = state.phase === "conflict" ? [...conflicts.peek().filter((other) => other !== upload), upload] : conflicts.peek().includes(upload) ? conflicts.peek().filter((other) => other !== upload) : conflicts.peek();
  });
  for (const name of effects) run(upload, name);
  if (state.phase === "done") {
    upload.bytes = upload.size;
    upload.sent.value = upload.size;
    appeared(upload.bucket, upload.key, upload.size);
  }
  return true;
}

const MANY = 1000; // uploads; from here on what is told of all of them is told in steps
const STEP = 100; // ms
/** @type {ReturnType<typeof setTimeout> | undefined} */
let telling;

/** Some upload is in another phase now. */
function moved() {
  if (uploads.peek().length < MANY) phases.value += 1;
  else {
    telling ??= setTimeout(() => {
      telling = undefined;
      phases.value += 1;
    }, STEP);
  }
}

/** @param {Upload} upload @param {import("./machine.js").Effect} name */
function run(upload, name) {
  switch (name) {
    case "keep":
      remember(upload);
      break;
    case "forget":
      if (upload.kept) forget("uploads", upload.id);
      upload.kept = false;
      break;
    case "wait":
      upload.timer = setTimeout(() => dispatch(upload, { type: "again" }), upload.state.peek().wait * 1000);
      break;
    case "ask":
      if (upload.group.decision !== "ask") queueMicrotask(() => dispatch(upload, { type: "decide", choice: upload.group.decision }));
      break;
    default:
      perform(upload, name, (event) => dispatch(upload, event));
  }
}

/** Keeps what a later page needs to go on. @param {Upload} upload */
export async function remember(upload) {
  if (!upload.uploadId || !upload.file) return;
  upload.fingerprint ||= await fingerprint(upload.file).catch(() => `date:${upload.lastModified}`);
  const { id, bucket, key, size, lastModified, type, partSize, uploadId, checked, handle } = upload;
  if (ENDED.has(upload.phase) && upload.phase !== "failed") return;
  hold(upload);
  upload.kept = true;
  await keep("uploads", { id, owner: upload.owner, bucket, key, size, lastModified, type, partSize, uploadId, checked, handle, fingerprint: upload.fingerprint });
}

/** One tab owns an upload: it holds a lock of that name as long as the page lives. @param {Upload} upload */
function hold(upload) {
  navigator.locks?.request(`gateway-upload-${upload.id}`, { ifAvailable: true }, (lock) => (lock ? new Promise(() => {}) : undefined));
}

/** Starts waiting files while fewer than four are under way. */
function pump() {
  if (status.peek() !== "in" || !online.peek()) return;
  const list = uploads.peek();
  let passed = true;
  let any = false;
  for (let i = firstWaiting; i < list.length && active < FILES_STARTED; i += 1) {
    const upload = list[i];
    if (upload.phase === "waiting" && upload.owner === owner.peek()) any = applied(upload, { type: "start" }) || any;
    passed &&= upload.phase !== "waiting";
    if (passed) firstWaiting = i + 1;
  }
  if (any) tick();
}

/**
 * Adds what a drop or picker gives, as it gives it.
 * @param {string} bucket @param {string} prefix @param {AsyncIterable<import("./sources.js").Source>} sources
 */
export async function add(bucket, prefix, sources) {
  const group = /** @type {Group} */ ({ id: String(performance.now()), bucket, prefix, decision: "ask", reading: true, left: 0, folded: false });
  const refusal = missing("write", bucket, prefix);
  /** @type {Upload[]} */
  let fresh = [];
  const flush = () => {
    if (!fresh.length) return;
    uploads.value = [...uploads.peek(), ...fresh];
    fresh = [];
    phases.value += 1;
    pump();
  };
  let flushed = performance.now();
  try {
    for await (const { path, file, handle } of sources) {
      if (leftOut(path)) {
        group.left += 1;
        continue;
      }
      const upload = new Upload(group, prefix + path.normalize("NFC"), file);
      upload.handle = handle ?? null;
      if (refusal) upload.state.value = { ...upload.state.peek(), phase: "failed", reason: refusal };
      fresh.push(upload);
      // The first starts at once; later ones in bunches, so that 50 000 names do not mean 50 000 repaints.
      if (uploads.peek().length + fresh.length <= FILES_STARTED || performance.now() - flushed > 100) {
        flush();
        await new Promise((resolve) => setTimeout(resolve));
        flushed = performance.now(); // after the page was drawn, or a slow one gets a name a picture
      }
    }
  } finally {
    group.reading = false;
    leftOutNames.value += group.left;
    flush();
  }
  return group;
}

/** Answers a conflict, and those to come of the same batch. @param {Upload} upload @param {import("./machine.js").Decision} choice @param {boolean} forAll */
export function decide(upload, choice, forAll) {
  const { group } = upload;
  if (!forAll) {
    dispatch(upload, { type: "decide", choice });
    return;
  }
  group.decision = choice;
  for (const other of uploads.peek()) {
    if (other.group === group && (RUNNING.has(other.phase) || other.phase === "paused")) dispatch(other, { type: "decide", choice });
  }
}

/** @param {(upload: Upload) => Event} event @param {Iterable<Upload>} [list] */
export function each(event, list = uploads.peek()) {
  let any = false;
  batch(() => {
    for (const upload of list) any = applied(upload, event(upload)) || any;
  });
  if (!any) return;
  tick();
  pump();
}

export const pauseAll = () => each(() => ({ type: "pause", by: "person" }));
export const resumeAll = () => each(() => ({ type: "resume", by: "person" }));
export const cancelAll = () => each(() => ({ type: "cancel" }), uploads.peek().filter((upload) => !ENDED.has(upload.phase)));
export const retryFailed = () => each(() => ({ type: "retry" }), uploads.peek().filter((upload) => upload.phase === "failed"));

/** Takes rows that have ended out of the tray. */
export function clearEnded() {
  uploads.value = uploads.peek().filter((upload) => !ENDED.has(upload.phase));
  firstWaiting = 0;
  phases.value += 1;
}

/** What is not finished and would be lost or stopped by leaving. */
export const unfinished = () => uploads.peek().filter((upload) => !ENDED.has(upload.phase) && upload.phase !== "orphaned");

/**
 * Continues an upload of an earlier page with the file chosen again; "" or why not.
 * @param {Upload} upload @param {File} file
 */
export async function choose(upload, file) {
  const same = file.size === upload.size && (await fingerprint(file).catch(() => "")) === upload.fingerprint;
  if (!same) return `“${file.name}” is not the file that was being uploaded as “${upload.key}”.`;
  upload.file = file;
  upload.lastModified = file.lastModified;
  dispatch(upload, { type: "file" });
  return "";
}

/** The file of an earlier page by its handle, with the person's leave; null without either. @param {Upload} upload @returns {Promise<File | null>} */
export async function again(upload) {
  const handle = /** @type {any} */ (upload.handle);
  if (!handle) return null;
  const right = { mode: "read" };
  const granted = (await handle.queryPermission(right)) === "granted" || (await handle.requestPermission(right)) === "granted";
  return granted ? handle.getFile().catch(() => null) : null;
}

/** Unfinished uploads of an earlier page, unless another tab has them. @param {string} person */
async function recall(person) {
  const locks = (await navigator.locks?.query())?.held?.map((lock) => lock.name) ?? [];
  const rows = (await kept("uploads", person)).filter((row) => !locks.includes(`gateway-upload-${row.id}`) && !uploads.peek().some((upload) => upload.id === row.id));
  if (person !== owner.peek() || !rows.length) return;
  const group = /** @type {Group} */ ({ id: "recalled", bucket: "", prefix: "", decision: "ask", reading: false, left: 0, folded: false });
  const found = rows.map((row) => {
    const upload = new Upload({ ...group, bucket: row.bucket }, row.key, null);
    Object.assign(upload, { checked: false }, row, { kept: true });
    upload.state.value = orphan();
    return upload;
  });
  uploads.value = [...uploads.peek(), ...found];
  phases.value += 1;
}

effect(() => {
  const person = owner.value;
  if (person) untracked(() => recall(person));
});

/** What paused it, where that was not the person: it is over when somebody is signed in and online. @param {Upload} upload */
function cause(upload) {
  const { by } = upload.state.peek();
  return by && by !== "person" ? by : "session";
}

// What pauses everything, and what lets it go on.
effect(() => {
  const state = status.value;
  const line = online.value;
  const person = owner.value;
  untracked(() => {
    if (state === "ended") each(() => ({ type: "pause", by: "session" }));
    else if (!line) each(() => ({ type: "pause", by: "offline" }));
    else if (state === "in") {
      each((upload) => (upload.owner === person ? { type: "resume", by: cause(upload) } : { type: "pause", by: "owner" }));
      each(
        () => ({ type: "again" }),
        uploads.peek().filter((upload) => upload.phase === "retrying" && upload.owner === person),
      );
      pump();
    }
  });
});

// Speed ---------------------------------------------------------------------------------------

const PAINT_EVERY = 250; // ms
const MEAN_OVER = 5; // seconds
/** @type {ReturnType<typeof setInterval> | undefined} */
let ticking;
let lastBytes = 0;
let lastTime = 0;
let began = 0;

/** Paints progress four times a second while something is under way. */
function tick() {
  if (ticking) return;
  began = lastTime = performance.now();
  lastBytes = uploads.peek().reduce((sum, upload) => sum + upload.bytes, 0);
  ticking = setInterval(paint, PAINT_EVERY);
}

function paint() {
  const list = uploads.peek();
  const now = performance.now();
  let bytes = 0;
  let left = 0;
  let active = false;
  batch(() => {
    for (const upload of list) {
      const { phase } = upload;
      if (upload.sent.peek() !== upload.bytes) upload.sent.value = upload.bytes;
      if (phase === "cancelled" || phase === "skipped") continue;
      bytes += upload.bytes;
      if (RUNNING.has(phase)) left += upload.size - upload.bytes;
      if (ACTIVE.has(phase) || phase === "retrying") active = true;
    }
    const seconds = (now - lastTime) / 1000;
    const speed = Math.max(0, bytes - lastBytes) / seconds;
    const weight = 1 - Math.exp(-seconds / MEAN_OVER);
    const mean = pace.peek().bytesPerSecond ? pace.peek().bytesPerSecond * (1 - weight) + speed * weight : speed;
    pace.value = { bytesPerSecond: active ? mean : 0, secondsLeft: active && mean > 0 && now - began > 2000 ? left / mean : NaN };
    sentTotal.value = bytes;
    lastBytes = bytes;
    lastTime = now;
  });
  if (active) return;
  clearInterval(ticking);
  ticking = undefined;
  throttle.relax();
}

addEventListener("beforeunload", (event) => {
  if (uploads.peek().some((upload) => ACTIVE.has(upload.phase) || upload.phase === "retrying")) event.preventDefault();
});

/** A text table of what became of each file. */
export function report() {
  const rows = uploads.peek().map((upload) => [upload.state.peek().phase, upload.size, `s3://${upload.bucket}/${upload.key}`, upload.state.peek().reason].join("\t"));
  return ["state\tbytes\tobject\treason", ...rows].join("\n");
}

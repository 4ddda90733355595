/**
 * The effects of an upload: check, create, send parts, complete, abort. At most four requests with
 * bodies are in flight over all files, so that two of a browser's six connections stay for the rest.
 */
import { current } from "../model/listing.js";
import { may } from "../model/session.js";
import * as s3 from "../s3/client.js";
import { another, base, parent } from "../s3/names.js";
import { isAbort } from "../s3/send.js";
import { announced, compare, compareWhole, summed } from "./checksum.js";
import { SMALLEST_PART, WHOLE_BELOW, missingParts, partSize } from "./machine.js";
import { remember } from "./queue.js";

/** @typedef {import("./queue.js").Upload} Upload */
/** @typedef {(event: import("./machine.js").Event) => void} Tell */
/** @typedef {import("../s3/send.js").Failure} Failure */

const IN_FLIGHT = 4;

/** Places for requests with bodies; one while the storage asks to slow down. */
export const throttle = {
  limit: IN_FLIGHT,
  taken: 0,
  /** @type {(() => void)[]} */
  waiting: [],
  /** @param {AbortSignal} signal */
  async enter(signal) {
    while (this.taken >= this.limit) {
      await new Promise((resolve) => this.waiting.push(/** @type {() => void} */ (resolve)));
      if (signal.aborted) {
        this.wake();
        return false;
      }
    }
    if (signal.aborted) return false;
    this.taken += 1;
    return true;
  },
  leave() {
    this.taken -= 1;
    this.wake();
  },
  wake() {
    this.waiting.shift()?.();
  },
  slow() {
    this.limit = 1;
  },
  relax() {
    this.limit = IN_FLIGHT;
    for (const go of this.waiting.splice(0)) go();
  },
};

/** @param {Upload} upload @param {import("./machine.js").Effect} effect @param {Tell} tell */
export function perform(upload, effect, tell) {
  switch (effect) {
    case "check":
      guarded(upload, tell, (signal) => check(upload, tell, signal));
      break;
    case "send":
      guarded(upload, tell, (signal) => (upload.size < WHOLE_BELOW && !upload.partSize ? sendWhole(upload, tell, signal) : sendParts(upload, tell, signal)));
      break;
    case "complete":
      guarded(upload, tell, (signal) => complete(upload, tell, signal));
      break;
    case "verify":
      guarded(upload, tell, (signal) => verify(upload, tell, signal));
      break;
    case "rename":
      rename(upload);
      break;
    case "restart":
      upload.uploadId = "";
      upload.bytes = 0;
      break;
    case "stop":
      clearTimeout(upload.timer);
      upload.running?.abort();
      upload.running = null;
      break;
    case "abort":
      if (upload.uploadId) s3.abortUpload(upload.bucket, upload.key, upload.uploadId).catch(() => {});
      upload.bytes = 0;
      break;
  }
}

/** Runs one effect under the upload's own stop signal and turns what goes wrong into an event. @param {Upload} upload @param {Tell} tell @param {(signal: AbortSignal) => Promise<void>} work */
async function guarded(upload, tell, work) {
  upload.running?.abort();
  const controller = new AbortController();
  upload.running = controller;
  try {
    await work(controller.signal);
  } catch (error) {
    if (isAbort(error) || controller.signal.aborted) return;
    controller.abort();
    const cause = /** @type {Failure} */ (error).status === 0 ? await unreadable(upload) : null;
    tell(eventOf(cause ?? /** @type {Failure} */ (error), upload));
  }
}

/** A file that changed on disk looks like a cut connection: read a byte to tell them apart. @param {Upload} upload @returns {Promise<Error | null>} */
async function unreadable(upload) {
  try {
    await upload.file?.slice(0, 1).arrayBuffer();
    return null;
  } catch (error) {
    return /** @type {Error} */ (error);
  }
}

/** What a refusal means for the upload. @param {Failure | Error} error @param {Upload} upload @returns {import("./machine.js").Event} */
function eventOf(error, upload) {
  const failure = /** @type {Failure} */ (error);
  const reason = failure.requestId ? `${failure.message} (${failure.code}, request ${failure.requestId})` : failure.message;
  if (error.name === "NotReadableError" || error.name === "NotFoundError") return { type: "refused", reason: `“${upload.file?.name}” changed or went away while it was being sent.` };
  if (failure.status === 412) return { type: "taken" };
  if (failure.code === "NoSuchUpload") return { type: "gone" };
  if (failure.status === 401) return { type: "pause", by: "session" };
  if (failure.status === 413) return smaller(upload, failure);
  if (failure.status === 501 && (upload.conditional || upload.checked)) {
    upload.conditional = upload.checked = false;
    return { type: "fault", retryAfter: 0, chance: 0, reason };
  }
  if (failure.status === 429 || failure.code === "SlowDown") throttle.slow();
  if (failure.transient || failure.code === "BadDigest") return { type: "fault", retryAfter: failure.retryAfter, chance: Math.random(), reason };
  return { type: "refused", reason };
}

/** A proxy refuses bodies of this size: halve the parts, down to what S3 takes. @param {Upload} upload @param {Failure} failure @returns {import("./machine.js").Event} */
function smaller(upload, failure) {
  const present = upload.partSize || Math.min(upload.size, WHOLE_BELOW);
  if (present <= SMALLEST_PART) return { type: "refused", reason: `A proxy in front of the gateway refuses bodies of ${Math.round(present / 1048576)} MiB (413).` };
  if (upload.uploadId) s3.abortUpload(upload.bucket, upload.key, upload.uploadId).catch(() => {});
  upload.partSize = Math.max(SMALLEST_PART, Math.floor(present / 2 / 1048576) * 1048576);
  return failure.status === 413 ? { type: "smaller" } : { type: "refused", reason: failure.message };
}

/** Is the key free? The complete listing proves absence; else HEAD, where reading is granted. @param {Upload} upload @param {Tell} tell @param {AbortSignal} signal */
async function check(upload, tell, signal) {
  // A second look is not needed where parts are there already: the key was judged when they began.
  if (upload.uploadId || upload.state.peek().decision === "replace") {
    tell({ type: "absent" });
    return;
  }
  const listing = current.peek();
  const prefix = parent(upload.key);
  if (listing && listing.bucket === upload.bucket && listing.prefix === prefix && !listing.starts && !listing.fromGrants && listing.state.peek() === "done") {
    const row = listing.find(base(upload.key));
    if (!row) {
      tell({ type: "absent" });
      return;
    }
  }
  const reply = may("read", upload.bucket, upload.group.prefix) ? await s3.exists(upload.bucket, upload.key, signal) : null;
  if (!reply) {
    tell({ type: "absent" });
    return;
  }
  upload.there = { size: Number(reply.header("content-length")), modified: reply.header("last-modified") };
  tell({ type: "present" });
}

/** @param {Upload} upload */
function rename(upload) {
  const listing = current.peek();
  const prefix = parent(upload.key);
  const here = listing?.bucket === upload.bucket && listing.prefix === prefix ? listing : null;
  const original = [...upload.tried][0] ?? base(upload.key);
  upload.tried.add(original);
  if (upload.uploadId) s3.abortUpload(upload.bucket, upload.key, upload.uploadId).catch(() => {});
  upload.uploadId = "";
  const name = another(original, (candidate) => upload.tried.has(candidate) || here?.find(candidate) !== undefined);
  upload.tried.add(name);
  upload.key = prefix + name;
}

/** @param {Upload} upload @returns {Record<string, string>} */
const condition = (upload) => (upload.conditional && upload.state.peek().decision !== "replace" ? { "If-None-Match": "*" } : {});

/** @param {Upload} upload @param {Tell} tell @param {AbortSignal} signal */
async function sendWhole(upload, tell, signal) {
  if (!(await throttle.enter(signal))) return;
  try {
    const body = slice(upload, 0, upload.size);
    const sum = await summed(upload, body);
    const reply = await s3.put(upload.bucket, upload.key, body, {
      headers: { "Content-Type": upload.type, ...sum, ...condition(upload) },
      signal,
      progress: (sent) => (upload.bytes = Math.min(sent, upload.size)),
    });
    compare(reply, sum);
  } finally {
    throttle.leave();
  }
  tell({ type: "completed" });
}

/** A piece of the file as it is on disk; read into memory for its checksum alone, a part at a time. @param {Upload} upload @param {number} from @param {number} to */
const slice = (upload, from, to) => /** @type {File} */ (upload.file).slice(from, to, upload.type);

/** @param {Upload} upload @param {Tell} tell @param {AbortSignal} signal */
async function sendParts(upload, tell, signal) {
  upload.partSize ||= partSize(upload.size);
  /** @type {Awaited<ReturnType<typeof s3.listParts>>} */
  let done = [];
  if (upload.uploadId) done = await s3.listParts(upload.bucket, upload.key, upload.uploadId, signal);
  else {
    upload.uploadId = await s3.createUpload(upload.bucket, upload.key, { "Content-Type": upload.type, ...announced(upload) }, signal);
    await remember(upload);
  }
  const missing = missingParts(upload.size, upload.partSize, done);
  const flying = new Map();
  let finished = upload.size - missing.reduce((sum, part) => sum + part.to - part.from, 0);
  const count = () => {
    let bytes = finished;
    for (const sent of flying.values()) bytes += sent;
    upload.bytes = Math.min(bytes, upload.size);
  };
  count();
  const lane = async () => {
    for (let part = missing.shift(); part; part = missing.shift()) {
      if (!(await throttle.enter(signal))) return;
      const { number, from, to } = part;
      try {
        const body = slice(upload, from, to);
        const sum = await summed(upload, body);
        const reply = await s3.putPart(upload.bucket, upload.key, upload.uploadId, number, body, {
          headers: sum,
          signal,
          progress: (sent) => {
            flying.set(number, Math.min(sent, to - from));
            count();
          },
        });
        compare(reply, sum);
        finished += to - from;
      } finally {
        flying.delete(number);
        count();
        throttle.leave();
      }
      // The line works again: the next fault begins to count anew.
      if (upload.state.peek().tries) upload.state.value = { ...upload.state.peek(), tries: 0 };
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  if (!signal.aborted) tell({ type: "sent" });
}

/** @param {Upload} upload @param {Tell} tell @param {AbortSignal} signal */
async function complete(upload, tell, signal) {
  const parts = await s3.listParts(upload.bucket, upload.key, upload.uploadId, signal);
  if (missingParts(upload.size, upload.partSize, parts).length) {
    await sendParts(upload, () => {}, signal);
    await complete(upload, tell, signal);
    return;
  }
  upload.completionSent = true;
  const said = await s3.complete(upload.bucket, upload.key, upload.uploadId, parts, { headers: condition(upload), signal });
  if (upload.checked) await compareWhole(said, parts);
  tell({ type: "completed" });
}

/** NoSuchUpload after the completion was sent: the object tells whether it arrived. @param {Upload} upload @param {Tell} tell @param {AbortSignal} signal */
async function verify(upload, tell, signal) {
  const reply = upload.completionSent ? await s3.exists(upload.bucket, upload.key, signal) : false;
  const parts = Math.ceil(upload.size / upload.partSize);
  if (reply && Number(reply.header("content-length")) === upload.size && reply.header("etag").replaceAll('"', "").endsWith(`-${parts}`)) {
    tell({ type: "completed" });
    return;
  }
  upload.uploadId = "";
  upload.bytes = 0;
  await sendParts(upload, () => {}, signal);
  await complete(upload, tell, signal);
}

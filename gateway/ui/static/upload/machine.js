/**
 * The states of one upload. Pure: (state, event) → state and effects.
 *
 *     waiting → checking ──────────────→ uploading ──→ completing → done
 *                 │  └ exists → conflict ─↗ (replace, keep both)  └ 412 → conflict
 *                 │                 └ skip → skipped
 *                 └ not allowed → failed     fault → retrying → where it was | failed after 6
 *     any running state ⇄ paused(by)        any → cancelled
 *     reload → orphaned ── same file chosen → checking
 */

/** @typedef {"waiting"|"checking"|"conflict"|"uploading"|"completing"|"retrying"|"paused"|"done"|"skipped"|"failed"|"cancelled"|"orphaned"} Phase */
/** @typedef {"person"|"offline"|"session"|"slowdown"|"owner"} Cause */
/** @typedef {"ask"|"replace"|"keep"|"skip"} Decision */
/** @typedef {{phase: Phase, back: Phase, by: Cause | "", tries: number, wait: number, decision: Decision, reason: string}} State */
/** @typedef {"check"|"send"|"complete"|"verify"|"ask"|"rename"|"restart"|"wait"|"stop"|"abort"|"keep"|"forget"} Effect */
/**
 * @typedef {{type: "start"} | {type: "absent"} | {type: "present"} | {type: "decide", choice: Decision} | {type: "refused", reason: string}
 *   | {type: "fault", retryAfter: number, chance: number, reason: string} | {type: "again"} | {type: "sent"} | {type: "completed"}
 *   | {type: "taken"} | {type: "gone"} | {type: "pause", by: Cause} | {type: "resume", by: Cause} | {type: "cancel"} | {type: "retry"} | {type: "file"} | {type: "smaller"}} Event
 */

export const TRIES = 6;
const WAITS = [1, 2, 4, 8, 16, 30]; // seconds

/** @type {ReadonlySet<Phase>} */
export const RUNNING = new Set(["waiting", "checking", "conflict", "uploading", "completing", "retrying"]);
/** @type {ReadonlySet<Phase>} */
export const ACTIVE = new Set(["checking", "uploading", "completing"]);
/** @type {ReadonlySet<Phase>} */
export const ENDED = new Set(["done", "skipped", "failed", "cancelled"]);

/** @param {Decision} [decision] @returns {State} */
export const begin = (decision = "ask") => ({ phase: "waiting", back: "waiting", by: "", tries: 0, wait: 0, decision, reason: "" });
/** @returns {State} */
export const orphan = () => ({ ...begin(), phase: "orphaned" });

/** What a phase does when it is entered anew. @type {Partial<Record<Phase, Effect[]>>} */
const ENTER = { checking: ["check"], uploading: ["send"], completing: ["complete"], conflict: ["ask"] };

/** Where an upload that was under way goes on after a pause or a wait. @param {Phase} phase @returns {Phase} */
const resumed = (phase) => (phase === "retrying" ? "uploading" : phase);

/** @param {State} state @param {Event} event @returns {{state: State, effects: Effect[]}} */
export function step(state, event) {
  const to = (/** @type {Partial<State>} */ change, /** @type {Effect[]} */ effects = []) => ({ state: { ...state, ...change }, effects });
  const stay = { state, effects: [] };
  const { phase } = state;

  switch (event.type) {
    case "start":
      return phase === "waiting" ? to({ phase: "checking" }, ["check"]) : stay;
    case "absent":
      return phase === "checking" ? to({ phase: "uploading" }, ["send"]) : stay;
    case "present":
      return phase === "checking" ? decided(state, state.decision) : stay;
    case "taken": // 412: somebody made the key after the check
      return ACTIVE.has(phase) ? decided(state, state.decision === "replace" ? "ask" : state.decision) : stay;
    case "decide":
      return phase === "conflict" ? decided(state, event.choice) : to({ decision: event.choice });
    case "refused":
      return RUNNING.has(phase) ? to({ phase: "failed", back: phase, reason: event.reason }, ["stop", "keep"]) : stay;
    case "fault":
      if (!ACTIVE.has(phase)) return stay;
      if (state.tries + 1 >= TRIES) return to({ phase: "failed", back: phase, reason: event.reason, tries: 0 }, ["stop", "keep"]);
      return to({ phase: "retrying", back: phase, tries: state.tries + 1, wait: delay(state.tries, event), reason: event.reason }, ["stop", "wait"]);
    case "again":
      return phase === "retrying" ? to({ phase: state.back }, ENTER[state.back]) : stay;
    case "smaller": // 413: start anew with smaller parts
      return phase === "uploading" ? to({}, ["stop", "restart", "send"]) : stay;
    case "sent":
      return phase === "uploading" ? to({ phase: "completing", tries: 0 }, ["complete"]) : stay;
    case "completed":
      return ACTIVE.has(phase) ? to({ phase: "done", tries: 0, reason: "" }, ["forget"]) : stay;
    case "gone": // NoSuchUpload
      if (phase === "completing") return to({}, ["verify"]);
      return phase === "uploading" ? to({}, ["stop", "restart", "send"]) : stay;
    case "pause":
      // Paused already, and somebody else is signed in now: it waits for its owner.
      if (phase === "paused" && event.by === "owner" && state.by !== "person") return to({ by: "owner" });
      return RUNNING.has(phase) ? to({ phase: "paused", back: resumed(phase), by: event.by }, ["stop", "keep"]) : stay;
    case "resume":
      if (phase !== "paused" || (event.by !== "person" && event.by !== state.by)) return stay;
      // A waiting file is started by the queue; one under way asks its parts first.
      return to({ phase: state.back, by: "", tries: 0 }, ENTER[state.back]);
    case "retry":
      return phase === "failed" || phase === "cancelled" || phase === "skipped" ? to({ phase: "waiting", tries: 0, reason: "" }) : stay;
    case "file":
      return phase === "orphaned" || phase === "failed" ? to({ phase: "waiting", decision: "replace", reason: "" }) : stay;
    case "cancel":
      return phase === "done" || phase === "cancelled" ? stay : to({ phase: "cancelled", reason: "" }, ["stop", "abort", "forget"]);
    default:
      return stay;
  }
}

/** @param {State} state @param {Decision} choice @returns {{state: State, effects: Effect[]}} */
function decided(state, choice) {
  switch (choice) {
    case "replace":
      return { state: { ...state, phase: "uploading", decision: choice }, effects: ["send"] };
    case "keep":
      return { state: { ...state, phase: "checking", decision: choice }, effects: ["stop", "rename", "check"] };
    case "skip":
      return { state: { ...state, phase: "skipped", decision: choice }, effects: ["stop", "abort", "forget"] };
    default:
      return { state: { ...state, phase: "conflict", decision: "ask" }, effects: ["stop", "ask"] };
  }
}

/** Seconds to wait: doubling, with jitter, or what the server asks. @param {number} tries @param {{retryAfter: number, chance: number}} event */
const delay = (tries, { retryAfter, chance }) => Math.max(retryAfter, WAITS[Math.min(tries, WAITS.length - 1)] * (0.75 + chance / 2));

const MIB = 1024 * 1024;
export const WHOLE_BELOW = 16 * MIB;
export const SMALLEST_PART = 5 * MIB; // S3 refuses smaller ones, the last apart

/** Bytes of a part. @param {number} size of the file */
export function partSize(size) {
  if (size <= 512 * MIB) return 8 * MIB;
  if (size <= 4096 * MIB) return 16 * MIB;
  // S3 takes 10 000 parts; 9 000 leaves room.
  return Math.max(32 * MIB, Math.ceil(size / 9000 / MIB) * MIB);
}

/** The parts of a file that the server does not have yet. @param {number} size @param {number} part @param {{number: number, size: number}[]} done @returns {{number: number, from: number, to: number}[]} */
export function missingParts(size, part, done) {
  const have = new Map(done.map((row) => [row.number, row.size]));
  const missing = [];
  for (let from = 0, number = 1; from < size; from += part, number += 1) {
    const to = Math.min(size, from + part);
    if (have.get(number) !== to - from) missing.push({ number, from, to });
  }
  return missing;
}

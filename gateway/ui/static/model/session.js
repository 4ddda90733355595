/**
 * Who is signed in, where they may work and why; and what happens when that ends.
 *
 * The server's evaluator answers what is allowed (`GET /api/session`, exact for one place with
 * `?at=`); nothing is decided here.
 */
import { computed, signal } from "../lib/dom.js";
import { Failure, hooks, isAbort, send } from "../s3/send.js";
import { buckets } from "../s3/list.js";
import { heard, tell } from "./bus.js";

/** @typedef {{name: string, prefixes: string[], allow: string[], because: string | string[], pattern?: boolean}} Bucket */
/** @typedef {{subject: string, issuer: string, username: string, name: string, email: string, groups: string[], expires_at: string, method: string, provider?: string, buckets: Bucket[]}} Who */
/** @typedef {{bucket: string, prefix: string, allow: Set<string>, because: string}} Location */
/** @typedef {"list" | "read" | "write" | "delete" | "tags" | "versions"} Verb */
/** @typedef {{allow: Set<string>, because: string, denied: Record<string, string>}} Answer `denied`: a sentence for each verb that is not given. */

/** @type {import("../lib/dom.js").Signal<Who | null>} */
export const who = signal(/** @type {Who | null} */ (null));
/** `loading`, `in`, `ended` (was in; rows stay), `failed` (nothing known yet). */
export const status = signal(/** @type {"loading" | "in" | "ended" | "failed"} */ ("loading"));
export const failure = signal(/** @type {Failure | null} */ (null));
/** Who was signed in before somebody else signed in here. */
export const replaced = signal(/** @type {Who | null} */ (null));
export const online = signal(navigator.onLine);
/** Set when the server runs another release than this page. */
export const newRelease = signal(false);

export const owner = computed(() => (who.value ? `${who.value.issuer}\n${who.value.subject}` : ""));

/** What each verb is called in IAM, for the sentence that names what is missing. @type {Record<Verb, string>} */
export const ACTIONS = {
  list: "s3:ListBucket",
  read: "s3:GetObject",
  write: "s3:PutObject",
  delete: "s3:DeleteObject",
  tags: "s3:GetObjectTagging",
  versions: "s3:ListBucketVersions",
};

/** @param {Iterable<string>} allow verbs or IAM actions */
function verbs(allow) {
  const set = new Set(allow);
  const all = set.has("s3:*") || set.has("*");
  for (const [verb, action] of Object.entries(ACTIONS)) {
    if (all || set.has(action) || [...set].some((given) => given.endsWith("*") && action.startsWith(given.slice(0, -1)))) set.add(verb);
  }
  if (set.has("read")) set.add("tags");
  return set;
}

/** Reasons, each once. @param {string | string[] | Record<string, string> | undefined} because */
function sentence(because) {
  if (typeof because === "string") return because;
  return [...new Set(Object.values(because ?? {}))].join("; ");
}

/** Names behind the granted patterns, by ListBuckets. */
const patternNames = signal(/** @type {string[]} */ ([]));

/** @param {string} pattern @param {string} name */
function fits(pattern, name) {
  const source = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*");
  return new RegExp(`^${source}$`).test(name);
}

/** @param {Bucket} row */
const isPattern = (row) => row.pattern === true || row.name.includes("*");

/** Exactly what was granted: a bucket, or each granted prefix of it. */
export const locations = computed(() => {
  const rows = who.value?.buckets ?? [];
  /** @type {Location[]} */
  const found = [];
  for (const row of rows.filter((entry) => !isPattern(entry))) {
    const prefixes = row.prefixes?.length ? row.prefixes : [""];
    const whole = prefixes.includes("") ? [""] : prefixes;
    for (const prefix of whole) found.push({ bucket: row.name, prefix, allow: verbs(row.allow), because: sentence(row.because) });
  }
  const known = new Set(found.map(({ bucket }) => bucket));
  for (const row of rows.filter(isPattern)) {
    for (const name of patternNames.value) {
      if (known.has(name) || !fits(row.name, name)) continue;
      known.add(name);
      found.push({ bucket: name, prefix: "", allow: verbs(row.allow), because: sentence(row.because) });
    }
  }
  return found.sort((a, b) => a.bucket.localeCompare(b.bucket) || a.prefix.localeCompare(b.prefix));
});

/** @param {string} bucket */
export const known = (bucket) => locations.value.some((location) => location.bucket === bucket) || (who.value?.buckets ?? []).some((row) => isPattern(row) && fits(row.name, bucket));

/** Granted prefixes strictly below this place, where the place itself is not granted. @param {string} bucket @param {string} prefix */
export function grantedBelow(bucket, prefix) {
  const here = locations.value.filter((location) => location.bucket === bucket);
  if (here.some((location) => prefix.startsWith(location.prefix))) return [];
  return here.filter((location) => location.prefix.startsWith(prefix)).map((location) => location.prefix);
}

/** The most specific location that holds a key. @param {string} bucket @param {string} prefix */
export function locationOf(bucket, prefix) {
  const fitting = locations.value.filter((location) => location.bucket === bucket && prefix.startsWith(location.prefix));
  return fitting.sort((a, b) => b.prefix.length - a.prefix.length)[0] ?? null;
}

/** Exact answers by place, as signals so that buttons follow. @type {Map<string, import("../lib/dom.js").Signal<Answer | null>>} */
const answers = new Map();
const PLACES_KEPT = 200;

/** @param {string} bucket @param {string} prefix */
function answerAt(bucket, prefix) {
  const name = `${bucket}/${prefix}`;
  let answer = answers.get(name);
  if (!answer) {
    answer = signal(/** @type {Answer | null} */ (null));
    answers.set(name, answer);
    if (answers.size > PLACES_KEPT) answers.delete(/** @type {string} */ (answers.keys().next().value));
    ask(name, answer);
  }
  return answer;
}

/** @param {string} name @param {import("../lib/dom.js").Signal<Answer | null>} answer */
async function ask(name, answer) {
  try {
    const { body } = await send({ url: `/api/session?at=${encodeURIComponent(name)}`, as: "json", quiet: true });
    const at = body?.at;
    if (at) answer.value = { allow: verbs(at.allow ?? []), because: sentence(at.because), denied: at.denied ?? {} };
  } catch (error) {
    // Without an exact answer the grants of the session stand; the server refuses what they do not hold.
    answers.delete(name);
    if (/** @type {Failure} */ (error).status === 401) end();
  }
}

/**
 * Whether a verb is granted at a place: the server's exact answer, until it came the session's grants.
 * @param {Verb} verb @param {string} bucket @param {string} [prefix]
 */
export function may(verb, bucket, prefix = "") {
  if (!bucket) return false;
  const exact = answerAt(bucket, prefix).value;
  if (exact) return exact.allow.has(verb);
  const rows = locations.value.filter((location) => location.bucket === bucket && prefix.startsWith(location.prefix));
  return rows.some((location) => location.allow.has(verb));
}

const FORBIDDEN = /^The rule “(.*)” forbids /s;

/** Why a verb is not granted, in the words of the page; "" where it is. @param {Verb} verb @param {string} bucket @param {string} [prefix] */
export function missing(verb, bucket, prefix = "") {
  if (may(verb, bucket, prefix)) return "";
  const exact = answerAt(bucket, prefix).peek();
  const rule = FORBIDDEN.exec(exact?.denied[verb] ?? "")?.[1];
  if (rule) return `${verb} is forbidden on ${bucket}/${prefix} by the rule “${rule}”.`;
  return `You need ${verb} (${ACTIONS[verb]}) on ${bucket}/${prefix}.${held(bucket, prefix)}`;
}

/** What the person has here, and why. @param {string} bucket @param {string} prefix */
export function held(bucket, prefix) {
  const exact = answerAt(bucket, prefix).peek();
  const location = locationOf(bucket, prefix);
  const given = [...(exact?.allow ?? location?.allow ?? [])].filter((verb) => ["list", "read", "write", "delete"].includes(verb));
  const groups = who.peek()?.groups ?? [];
  const because = exact?.because || location?.because || "";
  const have = given.length ? ` You have ${given.join(", ")}${because ? `: ${because}` : ""}.` : "";
  return `${have} Groups received: ${groups.length ? groups.join(", ") : "none"}.`;
}

/** @param {Who} person */
async function arrived(person) {
  const before = who.peek();
  if (before && (before.issuer !== person.issuer || before.subject !== person.subject)) replaced.value = before;
  answers.clear();
  who.value = person;
  status.value = "in";
  failure.value = null;
  if ((person.buckets ?? []).some(isPattern)) patternNames.value = await buckets().catch(() => []);
}

/** Asks who is signed in. A page that never had a session goes to sign-in. */
export async function load() {
  try {
    const { body } = await send({ url: "/api/session", as: "json", quiet: true });
    await arrived(body);
  } catch (error) {
    if (isAbort(error)) return;
    const refusal = /** @type {Failure} */ (error);
    if (refusal.status === 401) {
      if (who.peek()) end();
      else location.replace(`/api/session/auth/?next=${encodeURIComponent(location.pathname + location.search)}`);
      return;
    }
    failure.value = refusal;
    if (!who.peek()) status.value = "failed";
  }
}

function end() {
  if (status.peek() === "in") status.value = "ended";
}

let checking = 0;
const CHECK_EVERY = 2000; // ms; several refusals at once ask only once

/** Asks the session after a refusal that may mean its end. */
function suspect() {
  if (Date.now() - checking < CHECK_EVERY || status.peek() !== "in") return;
  checking = Date.now();
  load();
}

hooks.refused = (refusal) => {
  if (refusal.status === 401) end();
  // A cut connection may be a request refused early; a 403 may come to somebody who is nobody by now.
  else if (refusal.status === 403 || refusal.status === 0) suspect();
};
hooks.answered = (_requestId, release) => {
  if (release && release !== document.documentElement.dataset.release) newRelease.value = true;
};

/** Signs in again in a window of its own, so that the work here stays. */
export function signInAgain() {
  const popup = window.open("/api/session/auth/?next=/ui/signed-in", "gateway-sign-in", "popup,width=520,height=680");
  if (!popup) location.assign(`/api/session/auth/?next=${encodeURIComponent(location.pathname + location.search)}`);
}

heard("signed-in", () => load());
heard("signed-out", () => leave("/ui/signed-out"));

/** Only http(s) addresses and local paths are followed. @param {string} address */
function leave(address) {
  const url = new URL(address, location.origin);
  location.replace(url.protocol === "https:" || url.protocol === "http:" ? url.href : "/ui/signed-out");
}

/** Ends the session here, or everywhere. @param {boolean} everywhere @param {() => Promise<unknown>} forget clears what the browser keeps of this person */
export async function signOut(everywhere, forget) {
  const { body } = await send({ method: "DELETE", url: `/api/session${everywhere ? "?everywhere=true" : ""}`, as: "json" });
  await forget();
  tell({ kind: "signed-out" });
  leave(body?.redirect ?? "/ui/signed-out");
}

addEventListener("online", () => {
  online.value = true;
  if (failure.peek()) load();
});
addEventListener("offline", () => (online.value = false));
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  // Restored from the back-forward cache: nothing is shown before the session is known to live.
  document.documentElement.hidden = true;
  send({ url: "/api/session", as: "json", quiet: true }).then(
    ({ body }) => {
      arrived(body);
      document.documentElement.hidden = false;
    },
    () => location.reload(),
  );
});

/**
 * The sentences of the page: what happened, then what can be done.
 */
import { clock, count, duration, plural, size, speed } from "./format.js";

export const text = {
  waiting: "Still waiting for the storage…",
  listing: (/** @type {number} */ n) => `${count(n)} items…`,
  items: (/** @type {number} */ n) => plural(n, "item"),
  empty: (/** @type {string} */ prefix) => (prefix ? ["No objects under ", prefix, "."] : ["This location is empty."]),
  emptyWrite: "Drop files here, or Upload.",
  emptyRead: "You can read here, not upload.",
  noMatch: (/** @type {string} */ filter) => `No loaded name contains ‘${filter}’.`,
  noLocation: (/** @type {string} */ person, /** @type {string[]} */ groups) =>
    `You are signed in as ${person}, but no storage is mapped to you. Groups received: ${groups.length ? groups.join(", ") : "none"}.`,
  writeOnly: "You may put files here, and cannot see what is here.",
  gone: (/** @type {string} */ name) => `There is no ${name} here any more.`,
  away: (/** @type {number} */ seconds) => `The storage does not answer. Trying again in ${seconds} s.`,
  slow: (/** @type {number} */ seconds) => `The storage asks us to slow down. Going on in ${seconds} s.`,
  partLost: "This part of the page could not be loaded. It is tried again when the line is back.",
  offline: "You are offline. Uploads wait.",
  ended: "Your session ended.",
  endedStay: "Your work stays here.",
  endedHere: "Sign in again to see what is here.",
  replaced: (/** @type {string} */ now, /** @type {string} */ before, /** @type {number} */ n) =>
    n ? `You are now signed in as ${now}. ${before}'s ${plural(n, "upload")} were stopped and can be resumed by ${before}.` : `You are now signed in as ${now}.`,
  capped: (/** @type {number} */ n) => `${count(n)} items loaded, more exist.`,
  full: (/** @type {number} */ n) => `${count(n)} items loaded. More exist than a page can hold.`,
  stopped: (/** @type {number} */ n) => `Stopped at ${plural(n, "item")}.`,
  newRelease: "A new version is there. Reload when you are ready.",
  archived: (/** @type {string} */ cls) => `Archived (${cls}). It must be restored before it can be read.`,
  partial: (/** @type {number} */ shown, /** @type {number} */ all) => `Showing the first ${size(shown)} of ${size(all)}.`,
  leftOut: (/** @type {number} */ n) => `${plural(n, "system file")} left out (.DS_Store, Thumbs.db).`,
  unaddressable: "A browser cannot address a name with a “.” or “..” segment. Rename and delete work.",
  plainHttp: "The clipboard is closed on plain HTTP: the text is selected, press Ctrl+C.",
  changedAt: (/** @type {Date | number} */ when) => `Somebody changed this file at ${clock(when)}.`,
  left: (/** @type {number} */ seconds) => (Number.isFinite(seconds) ? `${duration(seconds)} left` : ""),
  pace: (/** @type {number} */ bytes) => (bytes > 0 ? speed(bytes) : ""),
};

/** Words of upload phases. @type {Record<import("../upload/machine.js").Phase, string>} */
export const PHASES = {
  waiting: "Waiting",
  checking: "Checking",
  conflict: "Needs a decision",
  uploading: "Uploading",
  completing: "Finishing",
  retrying: "Trying again",
  paused: "Paused",
  done: "Done",
  skipped: "Skipped",
  failed: "Failed",
  cancelled: "Cancelled",
  orphaned: "Choose the same file to go on",
};

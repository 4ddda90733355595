/**
 * What a screen reader hears beside the focus: one polite region, one assertive for errors.
 */
import { signal } from "./dom.js";

export const polite = signal("");
export const assertive = signal("");

/** @type {ReturnType<typeof setTimeout> | undefined} */
let pending;

/** Says something when the listener has time; a later sentence within the same moment replaces it. @param {string} sentence */
export function say(sentence) {
  clearTimeout(pending);
  pending = setTimeout(() => (polite.value = sentence), 150);
}

/** Interrupts: for errors only. @param {string} sentence */
export const cry = (sentence) => (assertive.value = sentence);

/**
 * The one door to the vendored libraries: components are written with `html`, state with signals.
 */
import { h, Fragment, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { h, Fragment, render };
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
export { batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect } from "../vendor/signals.js";

/** Tagged template that makes virtual nodes; text and attributes only, never markup from strings. */
export const html = htm.bind(h);

/** Joins the class names that are truthy. @param {...(string|false|null|undefined)} names */
export const cls = (...names) => names.filter(Boolean).join(" ");

let ids = 0;
/** An id that is unique on this page. @param {string} stem */
export const uid = (stem) => `${stem}-${(ids += 1)}`;

/** Loads a style sheet of this release once. @param {string} name */
export function style(name) {
  const href = new URL(`../css/${name}.css`, import.meta.url).href;
  if (document.querySelector(`link[href="${href}"]`)) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}

/**
 * The one door to the vendored libraries: components are written with `html`, state with signals.
 */
import * as preact from "../vendor/preact.js";
import * as hooks from "../vendor/hooks.js";
import * as signals from "../vendor/signals.js";
import htm from "../vendor/htm.js";

/** @template T @typedef {{value: T, peek: () => T}} Signal */
/** @typedef {void | (() => void)} Undo */

// The vendored modules are minified and carry no types: they are given here, once.
const libraries = /** @type {any} */ ({ ...preact, ...hooks, ...signals });

/** @type {(type: any, props?: any, ...children: any[]) => any} */
export const h = libraries.h;
/** @type {any} */
export const Fragment = libraries.Fragment;
/** @type {(node: any, parent: Element) => void} */
export const render = libraries.render;

/** @type {(effect: () => Undo, inputs?: readonly unknown[]) => void} */
export const useEffect = libraries.useEffect;
/** @type {(effect: () => Undo, inputs?: readonly unknown[]) => void} */
export const useLayoutEffect = libraries.useLayoutEffect;
/** @type {<T>(make: () => T, inputs: readonly unknown[]) => T} */
export const useMemo = libraries.useMemo;
/** @type {<T>(value: T) => {current: T}} */
export const useRef = libraries.useRef;
/** @type {<T>(value: T | (() => T)) => [T, (next: T | ((before: T) => T)) => void]} */
export const useState = libraries.useState;

/** @type {<T>(value: T) => Signal<T>} */
export const signal = libraries.signal;
/** @type {<T>(value: T) => Signal<T>} */
export const useSignal = libraries.useSignal;
/** @type {<T>(make: () => T) => Signal<T>} */
export const computed = libraries.computed;
/** @type {(run: () => unknown) => () => void} */
export const effect = libraries.effect;
/** @type {<T>(run: () => T) => T} */
export const batch = libraries.batch;
/** @type {<T>(run: () => T) => T} */
export const untracked = libraries.untracked;

/** Tagged template that makes virtual nodes; text and attributes only, never markup from strings. @type {(parts: TemplateStringsArray, ...values: any[]) => any} */
export const html = /** @type {any} */ (htm).bind(h);

/** Joins the class names that are truthy. @param {...(string|false|null|undefined)} names */
export const cls = (...names) => names.filter(Boolean).join(" ");

let ids = 0;
/** An id that is unique on this page. @param {string} stem */
export const uid = (stem) => `${stem}-${(ids += 1)}`;

/** @type {Map<string, Promise<unknown>>} */
const sheets = new Map();

/** Loads a style sheet of this release once; settles when it is applied, or cannot be had. @param {string} name */
export function style(name) {
  const wanted = sheets.get(name);
  if (wanted) return wanted;
  const link = document.createElement("link");
  const loaded = new Promise((done) => (link.onload = link.onerror = done));
  link.rel = "stylesheet";
  link.href = new URL(`../css/${name}.css`, import.meta.url).href;
  document.head.append(link);
  sheets.set(name, loaded);
  return loaded;
}

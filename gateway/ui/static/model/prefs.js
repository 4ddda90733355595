/**
 * What a person chose about the look: kept by the browser, never secret.
 */
import { effect, signal } from "../lib/dom.js";

const NAME = "gateway.prefs";

/** @typedef {{theme: "auto"|"light"|"dark", density: "normal"|"compact", letterKeys: boolean, railWidth: number, paneWidth: number, pane: boolean, wrap: boolean, view: "list"|"grid", columns: string[]}} Prefs */

/** Columns that can be left out, with their names. */
export const COLUMNS = /** @type {const} */ ([
  ["size", "Size"],
  ["modified", "Modified"],
  ["class", "Class"],
]);

/** @type {Prefs} */
const DEFAULTS = { theme: "auto", density: "normal", letterKeys: true, railWidth: 220, paneWidth: 360, pane: false, wrap: true, view: "list", columns: ["size", "modified", "class"] };

/** @returns {Prefs} */
function stored() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(NAME) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
}

export const prefs = signal(stored());

/** @param {Partial<Prefs>} change */
export function prefer(change) {
  prefs.value = { ...prefs.value, ...change };
  try {
    localStorage.setItem(NAME, JSON.stringify(prefs.value));
  } catch {
    // Storage closed by the browser: the choice lasts as long as the page.
  }
}

effect(() => {
  const { theme, density } = prefs.value;
  const root = document.documentElement;
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  if (density === "compact") root.dataset.density = "compact";
  else delete root.dataset.density;
});

addEventListener("storage", (event) => {
  if (event.key === NAME) prefs.value = stored();
});

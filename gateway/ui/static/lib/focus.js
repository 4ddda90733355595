/**
 * Where the keyboard is: regions of the page for F6, and the list to return to.
 */
import { signal } from "./dom.js";

/** Bumped when the list shall take the focus. */
export const listWanted = signal(0);
export const focusList = () => (listWanted.value += 1);

const REGIONS = [".rail", ".list", ".pane", ".tray"];

/** Focuses the next region that is on screen. @param {1 | -1} direction */
export function nextRegion(direction) {
  const regions = REGIONS.map((name) => document.querySelector(name)).filter((node) => node instanceof HTMLElement && node.checkVisibility());
  const here = regions.findIndex((node) => node?.contains(document.activeElement));
  const next = regions[(here + direction + regions.length) % regions.length];
  const target = next?.querySelector('[tabindex="0"], a[href], button:not([disabled])');
  if (target instanceof HTMLElement) target.focus();
}

/** Whether keys belong to a field that is being typed in. @param {EventTarget | null} target */
export const typing = (target) => target instanceof HTMLElement && (target.isContentEditable || target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select"));

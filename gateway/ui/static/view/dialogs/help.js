/**
 * The map of keys.
 */
import { html } from "../../lib/dom.js";
import { Dialog } from "./dialog.js";

const LIST = [
  ["↑ ↓ PgUp PgDn Home End", "move"],
  ["← →", "parts of the row"],
  ["Enter", "open, or full view"],
  ["Space", "details on and off"],
  ["Shift ↑ ↓", "select a range"],
  ["Ctrl Space", "select one more, or one less"],
  ["Ctrl A · Esc", "all loaded · none"],
  ["F2 · Del", "rename · delete"],
  ["Ctrl C · X · V", "copy · cut · paste items"],
  ["u · n", "upload · new folder"],
  ["d · z", "download · as zip"],
  ["m · c · s", "move · copy · share"],
  ["i · r", "details · refresh"],
  ["Shift F10", "menu of the row"],
];
const ANYWHERE = [
  ["Ctrl K", "jump"],
  ["/", "filter"],
  ["?", "this map"],
  ["Alt ↑", "up one level"],
  ["F6", "next region"],
  ["Ctrl Enter", "default button of a dialog"],
  ["← → + − 0", "in the full view: neighbours, zoom"],
];

/** @param {{done: () => void}} props */
export function Help({ done }) {
  const table = (/** @type {string} */ title, /** @type {string[][]} */ rows) => html`
    <section><h3>${title}</h3><dl class="keys">${rows.map(([keys, words]) => html`<div key=${keys}><dt><kbd>${keys}</kbd></dt><dd>${words}</dd></div>`)}</dl></section>
  `;
  return html`<${Dialog} title="Keys" done=${done} cancel="Close" wide=${true}><div class="two">${table("In the list", LIST)}${table("Anywhere", ANYWHERE)}</div><p class="small muted">Single letters work only while the list has the focus. They can be switched off in the account menu.</p><//>`;
}

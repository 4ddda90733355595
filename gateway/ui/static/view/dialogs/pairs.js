/**
 * Names and values that are edited together: tags, metadata.
 */
import { html, useState } from "../../lib/dom.js";
import { Icon } from "../../lib/icons.js";
import { Dialog } from "./dialog.js";

/** @param {{title: string, pairs: [string, string][], save: (pairs: [string, string][]) => Promise<unknown>, note?: any, extra?: any, done: (value?: any) => void}} props */
export function EditPairs({ title, pairs, save, note, done }) {
  const [rows, setRows] = useState(/** @type {[string, string][]} */ (pairs.length ? pairs : [["", ""]]));
  const set = (/** @type {number} */ i, /** @type {0 | 1} */ part) => (/** @type {any} */ event) => setRows(rows.map((row, j) => (j === i ? /** @type {[string, string]} */ (part ? [row[0], event.target.value] : [event.target.value, row[1]]) : row)));
  const kept = rows.filter(([name]) => name);
  const twice = new Set(kept.map(([name]) => name)).size < kept.length;
  return html`
    <${Dialog} title=${title} done=${done} submit=${() => save(kept).then(() => true)} action="Save" ready=${!twice} wide=${true}>
      ${note && html`<p class="small muted">${note}</p>`}
      ${rows.map(([name, value], i) => html`<div class="pair" key=${i}><input class="field" aria-label=${`Name ${i + 1}`} placeholder="name" value=${name} onInput=${set(i, 0)} /><input class="field" aria-label=${`Value ${i + 1}`} placeholder="value" value=${value} onInput=${set(i, 1)} /><button type="button" class="icon-button" aria-label=${`Remove ${name || i + 1}`} onClick=${() => setRows(rows.filter((_, j) => j !== i))}><${Icon} name="close" /></button></div>`)}
      <div><button type="button" class="button small" onClick=${() => setRows([...rows, ["", ""]])}>Add</button>${twice && html` <span class="small danger-text">A name stands twice.</span>`}</div>
    <//>
  `;
}

/**
 * A name is taken: Replace, Keep both, or Skip; and whether the same holds for the others.
 */
import { html, useState } from "../../lib/dom.js";
import { moment, size } from "../../lib/format.js";
import { display } from "../../s3/names.js";
import { Dialog } from "./dialog.js";

/** @typedef {{size: number, modified: string | number}} Facts */

/** @param {{name: string, there: Facts | null, yours: Facts | null, others: number, folder?: boolean, done: (answer?: {choice: "replace" | "keep" | "skip", forAll: boolean}) => void}} props */
export function Conflict({ name, there, yours, others, folder = false, done }) {
  const [forAll, setForAll] = useState(false);
  const choose = (/** @type {"replace" | "keep" | "skip"} */ choice) => () => done({ choice, forAll });
  const facts = (/** @type {string} */ label, /** @type {Facts | null} */ row) => row && Number.isFinite(row.size) && html`<tr><th scope="row">${label}</th><td class="num">${size(row.size)}</td><td>${moment(row.modified)}</td></tr>`;
  return html`
    <${Dialog} title=${others ? `${others + 1} names may exist already` : "This name exists already"} done=${done} cancel=${null}>
      <p><strong><bdi>${display(name)}</bdi></strong></p>
      ${folder ? html`<p>A folder of that name is there. Replace puts the items into it and overwrites equal names.</p>` : html`<table class="facts"><tbody>${facts("here", there)}${facts("yours", yours)}</tbody></table>`}
      <div class="choices">
        <button type="button" class="button primary" data-autofocus onClick=${choose("keep")}>Keep both</button>
        <button type="button" class="button danger-text" onClick=${choose("replace")}>Replace</button>
        <button type="button" class="button" onClick=${choose("skip")}>Skip</button>
      </div>
      ${others > 0 && html`<label class="check-line"><input type="checkbox" checked=${forAll} onChange=${(/** @type {any} */ event) => setForAll(event.target.checked)} />the same for the others of this batch</label>`}
    <//>
  `;
}

/**
 * What could not be done, key by key, with the reason.
 */
import { html } from "../../lib/dom.js";
import { display } from "../../s3/names.js";
import { Copy } from "../copy.js";
import { Dialog } from "./dialog.js";

const SHOWN = 500; // rows; the report holds all

/** @param {{title: string, failed: {key: string, code: string, message: string}[], retry?: boolean, done: (value?: any) => void}} props */
export function Failed({ title, failed, retry = false, done }) {
  const report = failed.map(({ key, code, message }) => `${key}\t${code}\t${message}`).join("\n");
  return html`
    <${Dialog} title=${title} done=${done} wide=${true} cancel="Close" submit=${retry ? () => true : undefined} action="Retry failed" extra=${html`<${Copy} text=${report} words="Copy report" />`}>
      <div class="scroller" tabindex="0" role="region" aria-label="Failed objects">
        <table class="table">
          <thead><tr><th scope="col">Key</th><th scope="col">Reason</th></tr></thead>
          <tbody>${failed.slice(0, SHOWN).map(({ key, code, message }) => html`<tr key=${key}><td class="mono"><bdi>${display(key)}</bdi></td><td>${message || code} <span class="muted">${code}</span></td></tr>`)}</tbody>
        </table>
      </div>
    <//>
  `;
}

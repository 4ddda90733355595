/**
 * Bringing an archived object back for some days.
 */
import { html, useState } from "../../lib/dom.js";
import { restore } from "../../s3/client.js";
import { Dialog } from "./dialog.js";

const TIERS = [["Standard", "Standard: some hours"], ["Bulk", "Bulk: cheapest, up to two days"], ["Expedited", "Expedited: minutes, dearest"]];

/** @param {{bucket: string, name: string, done: (value?: any) => void}} props */
export function Restore({ bucket, name: key, done }) {
  const [days, setDays] = useState(7);
  const [tier, setTier] = useState("Standard");
  return html`
    <${Dialog} title="Restore from the archive" done=${done} submit=${() => restore(bucket, key, days, tier).then(() => dispatchEvent(new CustomEvent("gateway:written", { detail: key })))} action="Restore" ready=${days > 0}>
      <label class="form-field">Days it stays readable<input class="field" type="number" min="1" value=${days} onInput=${(/** @type {any} */ event) => setDays(Number(event.target.value))} /></label>
      <label class="form-field">How fast<select class="field" onChange=${(/** @type {any} */ event) => setTier(event.target.value)}>${TIERS.map(([value, label]) => html`<option key=${value} value=${value} selected=${value === tier}>${label}</option>`)}</select></label>
    <//>
  `;
}

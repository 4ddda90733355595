/**
 * A new name for one object or folder; the stem is selected, the extension is not.
 */
import { html, useEffect, useRef, useState } from "../../lib/dom.js";
import { split } from "../../s3/names.js";
import { Dialog } from "./dialog.js";
import { unusable } from "./folder.js";

/** @param {{row: import("../../model/listing.js").Row, taken: (name: string) => boolean, done: (value?: string) => void}} props */
export function Rename({ row, taken, done }) {
  const old = row.folder ? row.name.slice(0, -1) : row.name;
  const [name, setName] = useState(old);
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => field.current?.setSelectionRange(0, row.folder ? old.length : split(old)[0].length), []);
  const words = name.includes("/") ? "A slash would move it. Use Move for that." : unusable(name);
  const exists = name !== old && taken(row.folder ? `${name}/` : name);
  return html`
    <${Dialog} title=${row.folder ? "Rename folder" : "Rename"} done=${done} submit=${() => name} action="Rename" ready=${name !== "" && name !== old && !words}>
      <label class="form-field">Name<input ref=${field} class="field" value=${name} spellcheck=${false} autocapitalize="off" aria-describedby="rename-hint" aria-invalid=${words ? "true" : undefined} onInput=${(/** @type {any} */ event) => setName(event.target.value)} /></label>
      <p id="rename-hint" class=${words ? "small danger-text" : "small muted"}>${words || (exists ? "That name exists: you will be asked what to do." : "Metadata, tags and type are kept.")}</p>
    <//>
  `;
}

/**
 * Editing a text: saved with If-Match, so that nobody's change is overwritten unseen.
 */
import { html, useEffect, useRef, useState } from "../lib/dom.js";
import { text as words } from "../lib/text.js";
import { appeared } from "../model/listing.js";
import { put } from "../s3/client.js";
import { another, base, parent } from "../s3/names.js";
import { typeOf } from "../upload/files.js";
import { Problem } from "../view/banner.js";
import { toast } from "../view/toasts.js";

/** @param {{bucket: string, name: string, head: import("../view/pane.js").Head, text: string, close: () => void}} props */
export function Edit({ bucket, name, head, text, close }) {
  const [value, setValue] = useState(text);
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const area = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const changed = value !== text;
  useEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(0, 0);
    area.current?.scrollTo(0, 0);
  }, []);
  useEffect(() => {
    const ask = (/** @type {Event} */ event) => changed && event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [changed]);

  const save = async (/** @type {string} */ key, /** @type {Record<string, string>} */ condition) => {
    setBusy(true);
    setFailure(null);
    try {
      const meta = Object.fromEntries(head.meta.map(([key_, value_]) => [`x-amz-meta-${key_}`, value_]));
      await put(bucket, key, value, { headers: { "Content-Type": typeOf(new File([], base(name))), ...meta, ...condition } });
      appeared(bucket, key, new Blob([value]).size);
      toast(`Saved ${base(key)}.`, { kind: "ok" });
      close();
      dispatchEvent(new CustomEvent("gateway:written", { detail: name }));
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  const leave = () => (!changed || confirm("Leave without saving?")) && close();
  const conflict = failure?.status === 412;
  return html`
    <div>
      <div class="view-bar">
        <span class="grow muted">${changed ? "Changed, not saved" : "Unchanged"}</span>
        <button class="button small" onClick=${leave}>Cancel</button>
        <button class="button small primary" disabled=${!changed || busy} onClick=${() => save(name, { "If-Match": `"${head.etag}"` })}>Save</button>
      </div>
      ${failure && html`<${Problem} failure=${failure} message=${conflict ? words.changedAt(Date.now()) : undefined} actions=${conflict && html`<button class="button" onClick=${() => save(name, {})}>Overwrite</button><button class="button" onClick=${() => save(parent(name) + another(base(name), () => false), { "If-None-Match": "*" })}>Keep mine as a copy</button>`} />`}
      <textarea ref=${area} class="editor" aria-label=${`Content of ${base(name)}`} spellcheck=${false} value=${value} onInput=${(/** @type {any} */ event) => setValue(event.target.value)}></textarea>
    </div>
  `;
}

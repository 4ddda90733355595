/**
 * Deleting: what goes, counted to the end before the button works; typed above 1 000 objects.
 */
import { html, useEffect, useState } from "../../lib/dom.js";
import { clock, count, moment, plural, size } from "../../lib/format.js";
import * as jobs from "../../model/jobs.js";
import { versions } from "../../s3/client.js";
import { base, display } from "../../s3/names.js";
import { may } from "../../model/session.js";
import { keyOf } from "../actions.js";
import { Problem } from "../banner.js";
import { Dialog } from "./dialog.js";

const TYPED_ABOVE = 1000; // objects
const NAMED = 8;

/** Whether deletes here leave a delete marker: asked of the versions of one key. @param {string} bucket @param {string} key @returns {Promise<boolean | null>} */
async function keepsVersions(bucket, key) {
  if (!may("versions", bucket, "")) return null;
  try {
    const [found] = await versions(bucket, key);
    return found ? found.version !== "null" && found.version !== undefined && found.version !== "" : null;
  } catch {
    return null;
  }
}

/** @param {{rows: import("../../model/listing.js").Row[], bucket: string, prefix: string, run: () => Promise<void>, done: (value?: any) => void}} props */
export function Delete({ rows, bucket, prefix, run, done }) {
  const folders = rows.filter((row) => row.folder);
  const [job, setJob] = useState(/** @type {jobs.Job | null} */ (null));
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const [typed, setTyped] = useState("");
  const [versioned, setVersioned] = useState(/** @type {boolean | null} */ (null));

  useEffect(() => {
    keepsVersions(bucket, keyOf(rows[0])).then(setVersioned);
    if (!folders.length) return undefined;
    let counting = /** @type {jobs.Job | null} */ (null);
    let left = false;
    const sources = rows.map((row) => (row.folder ? { bucket, prefix: keyOf(row) } : { bucket, key: keyOf(row) }));
    jobs.count({ operation: "delete", sources }).then(
      (started) => {
        counting = started;
        if (left) jobs.drop(started);
        else setJob(started);
      },
      (error) => !left && setFailure(error),
    );
    return () => {
      left = true;
      if (counting) jobs.drop(counting);
    };
  }, []);

  const progress = job?.progress.value;
  const counted = folders.length ? progress?.counted : { objects: rows.length, bytes: rows.reduce((sum, row) => sum + row.size, 0), complete: true };
  const final = counted?.complete ?? false;
  const objects = counted?.objects ?? 0;
  const word = base(folders.length === 1 ? keyOf(folders[0]).slice(0, -1) : prefix.slice(0, -1)) || bucket;
  const needsWord = objects > TYPED_ABOVE;
  const ready = final && (!needsWord || typed === word);
  const title = rows.length === 1 && !folders.length ? html`Delete <bdi>${display(rows[0].name)}</bdi>?` : final ? `Delete ${plural(objects, "object")}, ${size(counted?.bytes ?? 0)}?` : `Counting… ${plural(objects, "object")}`;
  return html`
    <${Dialog} title=${title} done=${done} submit=${run} action=${`Delete${final && objects > 1 ? ` ${count(objects)}` : ""}`} danger=${true} ready=${ready} focusAction=${true}>
      <ul class="names">
        ${rows.slice(0, NAMED).map((row) => html`<li key=${row.name}><bdi>${row.folder ? html`Everything under <strong>${bucket}/${display(keyOf(row))}</strong>` : display(row.name)}</bdi>${!row.folder && html` <span class="muted">${size(row.size)}, ${moment(row.modified)}</span>`}</li>`)}
        ${rows.length > NAMED && html`<li class="muted">and ${count(rows.length - NAMED)} more</li>`}
      </ul>
      ${folders.length > 0 && html`<p class="small muted" aria-live="polite">${final ? `Counted to the end at ${clock(Date.now())}.` : "The button works when the count is final."}</p>`}
      <p class="small">${versioned ? "This bucket keeps versions: it can be undone." : versioned === false ? "This bucket keeps no versions: it cannot be undone." : "This may not be undone."}</p>
      ${needsWord && final && html`<label class="form-field">Type <strong class="mono">${display(word)}</strong> to confirm<input class="field" value=${typed} spellcheck=${false} autocapitalize="off" onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} /></label>`}
      ${failure && html`<${Problem} failure=${failure} action="s3:DeleteObject" />`}
    <//>
  `;
}

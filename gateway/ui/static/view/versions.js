/**
 * What can be done with one version: make it the present one, delete it.
 */
import { html } from "../lib/dom.js";
import { moment } from "../lib/format.js";
import { changed } from "../model/listing.js";
import { copyOnto, remove } from "../s3/client.js";
import { base, display, encodeKey, parent } from "../s3/names.js";
import { Dialog, ask } from "./dialogs/dialog.js";
import { toast } from "./toasts.js";

/** @typedef {import("../s3/client.js").Version} Version */

/** @param {string} bucket @param {string} key */
function written(bucket, key) {
  changed(bucket, parent(key));
  dispatchEvent(new CustomEvent("gateway:written", { detail: key }));
}

/** The version becomes the newest by a copy of it. @param {string} bucket @param {string} key @param {Version} row */
export async function restoreVersion(bucket, key, row) {
  try {
    await copyOnto(bucket, key, `${encodeURIComponent(bucket)}/${encodeKey(key)}?versionId=${encodeURIComponent(row.version)}`);
    toast(`The version of ${moment(row.modified)} is the present one now.`, { kind: "ok" });
    written(bucket, key);
  } catch (error) {
    toast(/** @type {Error} */ (error).message, { kind: "error" });
  }
}

/** @param {{key_: string, row: Version, run: () => Promise<unknown>, done: (value?: any) => void}} props */
const Confirm = ({ key_: key, row, run, done }) => html`
  <${Dialog} title="Delete this version?" done=${done} submit=${() => run().then(() => true)} action="Delete version" danger=${true} focusAction=${true}><p><bdi>${display(base(key))}</bdi>, ${moment(row.modified)}. This cannot be undone.</p><//>
`;

/** @param {string} bucket @param {string} key @param {Version} row */
export async function deleteVersion(bucket, key, row) {
  if (await ask(Confirm, { key_: key, row, run: () => remove(bucket, key, row.version) })) written(bucket, key);
}

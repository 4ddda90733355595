/**
 * Deleted objects of a folder that a version can bring back.
 */
import { html, useEffect, useState } from "../../lib/dom.js";
import { moment } from "../../lib/format.js";
import { place } from "../../model/place.js";
import { missing } from "../../model/session.js";
import { remove, versions } from "../../s3/client.js";
import { display } from "../../s3/names.js";
import { changed } from "../../model/listing.js";
import { Problem } from "../banner.js";
import { Dialog, ask } from "./dialog.js";

/** @param {{bucket: string, prefix: string, done: (value?: any) => void}} props */
function Deleted({ bucket, prefix, done }) {
  const [rows, setRows] = useState(/** @type {import("../../s3/client.js").Version[] | null} */ (null));
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const load = () => versions(bucket, prefix, { delimiter: "/" }).then((found) => setRows(found.filter((row) => row.marker && row.latest)), setFailure);
  useEffect(() => {
    load();
  }, []);
  const why = missing("delete", bucket, prefix);
  // A delete marker taken away brings the version below it back.
  const bring = async (/** @type {import("../../s3/client.js").Version} */ row) => {
    try {
      await remove(bucket, row.key, row.version);
      changed(bucket, prefix);
      await load();
    } catch (error) {
      setFailure(error);
    }
  };
  return html`
    <${Dialog} title="Deleted objects" done=${done} wide=${true} cancel="Close">
      ${failure && html`<${Problem} failure=${failure} />`}
      ${rows && (rows.length ? html`<div class="scroller"><table class="table"><thead><tr><th scope="col">Name</th><th scope="col">Deleted</th><th scope="col"><span class="hidden">Undo</span></th></tr></thead><tbody>${rows.map((row) => html`<tr key=${row.version}><td class="mono"><bdi>${display(row.key.slice(prefix.length))}</bdi></td><td>${moment(row.modified)}</td><td><button type="button" class="button small" disabled=${Boolean(why)} onClick=${() => bring(row)}>Bring back</button></td></tr>`)}</tbody></table></div>` : html`<p>None here.</p>`)}
    <//>
  `;
}

export const deletedObjects = () => ask(Deleted, { bucket: place.peek().bucket, prefix: place.peek().prefix });

/**
 * Unfinished uploads under a prefix, with age; aborting leaves none.
 */
import { html, useEffect, useState } from "../../lib/dom.js";
import { moment, plural, size } from "../../lib/format.js";
import { place } from "../../model/place.js";
import { missing } from "../../model/session.js";
import { abortUpload, listParts, uploads } from "../../s3/client.js";
import { display } from "../../s3/names.js";
import { Problem } from "../banner.js";
import { Dialog, ask } from "./dialog.js";

/** @param {{bucket: string, prefix: string, done: (value?: any) => void}} props */
function Unfinished({ bucket, prefix, done }) {
  const [rows, setRows] = useState(/** @type {{key: string, uploadId: string, initiated: string, bytes?: number}[] | null} */ (null));
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const load = async () => {
    try {
      const found = await uploads(bucket, prefix);
      setRows(found);
      const sized = await Promise.all(found.slice(0, 50).map(async (row) => ({ ...row, bytes: (await listParts(bucket, row.key, row.uploadId).catch(() => [])).reduce((sum, part) => sum + part.size, 0) })));
      setRows([...sized, ...found.slice(50)]);
    } catch (error) {
      setFailure(error);
    }
  };
  useEffect(() => {
    load();
  }, []);
  const why = missing("write", bucket, prefix);
  const end = async (/** @type {{key: string, uploadId: string}[]} */ list) => {
    for (const row of list) await abortUpload(bucket, row.key, row.uploadId);
    await load();
  };
  return html`
    <${Dialog} title="Unfinished uploads" done=${done} wide=${true} cancel="Close" submit=${rows?.length ? async () => (await end(rows), false) : undefined} action="Abort all" danger=${true} ready=${!why}>
      <p class="small muted">Parts that were sent and never made an object; they may cost storage. ${why}</p>
      ${failure && html`<${Problem} failure=${failure} />`}
      ${rows && (rows.length ? html`<div class="scroller"><table class="table"><thead><tr><th scope="col">Key</th><th scope="col">Since</th><th scope="col">Size</th><th scope="col"><span class="hidden">Abort</span></th></tr></thead><tbody>${rows.map((row) => html`<tr key=${row.uploadId}><td class="mono"><bdi>${display(row.key)}</bdi></td><td>${moment(row.initiated)}</td><td class="num">${row.bytes === undefined ? "" : size(row.bytes)}</td><td><button type="button" class="button small" disabled=${Boolean(why)} onClick=${() => end([row])}>Abort</button></td></tr>`)}</tbody></table></div><p class="small">${plural(rows.length, "upload")}</p>` : html`<p>None under this prefix.</p>`)}
    <//>
  `;
}

export const unfinishedUploads = () => ask(Unfinished, { bucket: place.peek().bucket, prefix: place.peek().prefix });

/**
 * Share links of one's own: what they open, how often they were used, revoking.
 */
import { html, style, useEffect, useState } from "../../lib/dom.js";
import { count, moment } from "../../lib/format.js";
import { browse, link, object } from "../../model/place.js";
import { display } from "../../s3/names.js";
import { send } from "../../s3/send.js";
import { Problem } from "../banner.js";
import { Dialog, ask } from "../dialogs/dialog.js";
import { toast } from "../toasts.js";

await style("parts");

/** @typedef {{id: string, bucket: string, key?: string, prefix?: string, allow: string, expires_at: string, password?: boolean, max_uses?: number | null, uses: number}} Share */

const WORDS = /** @type {Record<string, string>} */ ({ view: "view and download", download: "download", upload: "upload only" });

/** @param {{row: Share, done: (value?: any) => void}} props */
const Revoke = ({ row, done }) => html`
  <${Dialog} title="Revoke this link?" done=${done} submit=${() => send({ method: "DELETE", url: `/api/shares/${encodeURIComponent(row.id)}` }).then(() => true)} action="Revoke" danger=${true} focusAction=${true}><p>Whoever opens <bdi>${display(row.key ?? row.prefix ?? row.bucket)}</bdi> by it finds nothing from now on.</p><//>
`;

export function Shares() {
  const [rows, setRows] = useState(/** @type {Share[] | null} */ (null));
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const load = () => send({ url: "/api/shares", as: "json" }).then(({ body }) => (setFailure(null), setRows(body.shares ?? body)), setFailure);
  useEffect(() => {
    load();
  }, []);
  const revoke = async (/** @type {Share} */ row) => {
    if (!(await ask(Revoke, { row }))) return;
    toast("Revoked.", { kind: "ok" });
    load();
  };
  return html`
    <div class="page-head"><h1 class="page-title">Share links</h1></div>
    ${failure && html`<${Problem} failure=${failure} actions=${html`<button class="button" onClick=${load}>Try again</button>`} />`}
    ${rows && (rows.length ? html`
      <div class="wide-table" tabindex="0" role="region" aria-label="Your share links"><table class="table" role="table">
        <thead role="rowgroup"><tr role="row">${["What", "Others may", "Until", "Uses"].map((name) => html`<th key=${name} role="columnheader" scope="col">${name}</th>`)}<th role="columnheader" scope="col"><span class="hidden">Revoke</span></th></tr></thead>
        <tbody role="rowgroup">${rows.map((row) => html`
          <tr key=${row.id} role="row">
            <th role="rowheader" scope="row"><a ...${link(row.key ? object(row.bucket, row.key) : browse(row.bucket, row.prefix ?? ""))}><bdi>${display(`${row.bucket}/${row.key ?? row.prefix ?? ""}`)}</bdi></a></th>
            <td role="cell" data-label="Others may">${WORDS[row.allow] ?? row.allow}${row.password ? ", with a password" : ""}</td>
            <td role="cell" data-label="Until">${moment(row.expires_at)}</td>
            <td role="cell" data-label="Uses" class="num">${count(row.uses)}${row.max_uses ? ` of ${count(row.max_uses)}` : ""}</td>
            <td role="cell"><button class="button small danger-text" onClick=${() => revoke(row)}>Revoke<span class="hidden"> ${display(row.key ?? row.prefix ?? row.bucket)}</span></button></td>
          </tr>`)}</tbody>
      </table></div>` : html`<p class="muted">You share nothing. Choose Share on a file or a folder.</p>`)}
  `;
}

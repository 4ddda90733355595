/**
 * The pane beside the list: preview, actions and facts of one object; full view of the same.
 */
import { cls, html, style, useEffect, useRef, useState } from "../lib/dom.js";
import { focusList, typing } from "../lib/focus.js";
import { exact, iso, moment, size } from "../lib/format.js";
import { Icon, iconFor } from "../lib/icons.js";
import { text } from "../lib/text.js";
import { adjust, href, object, place } from "../model/place.js";
import { prefs } from "../model/prefs.js";
import { missing, may, online } from "../model/session.js";
import * as s3 from "../s3/client.js";
import { base, display, extension, parent, s3uri, unaddressable } from "../s3/names.js";
import { isAbort } from "../s3/send.js";
import { BY_ID, closePane, neighbour, refusal } from "./actions.js";
import { Divider } from "./rail.js";
import { Tool } from "./tool.js";
import { downloadKey } from "./work.js";
import { Problem } from "./banner.js";
import { Copy } from "./copy.js";
import { openMenu } from "./menu.js";
import { Preview } from "../preview/pick.js";

await style("preview");

/** @typedef {{size: number, modified: string, type: string, encoding: string, etag: string, cls: string, version: string, restore: string, meta: [string, string][], facts: [string, string][]}} Head */

const FACTS = /** @type {const} */ ([
  ["content-encoding", "Encoding"],
  ["content-language", "Language"],
  ["x-amz-checksum-sha256", "SHA-256"],
  ["x-amz-checksum-crc32", "CRC-32"],
  ["x-amz-checksum-crc64nvme", "CRC-64"],
  ["x-amz-server-side-encryption", "Encryption"],
  ["x-amz-object-lock-mode", "Lock"],
  ["x-amz-object-lock-retain-until-date", "Locked until"],
  ["x-amz-object-lock-legal-hold", "Legal hold"],
  ["x-amz-mp-parts-count", "Parts"],
]);

/** @param {string} bucket @param {string} key @param {AbortSignal} signal @returns {Promise<Head>} */
async function headOf(bucket, key, signal) {
  const { header, all } = await s3.head(bucket, key, { signal });
  const names = all();
  return {
    size: Number(header("content-length")),
    modified: header("last-modified"),
    type: header("x-gateway-stored-type") || header("content-type"),
    encoding: header("content-encoding"),
    etag: header("etag").replaceAll('"', ""),
    cls: header("x-amz-storage-class") || "STANDARD",
    version: header("x-amz-version-id"),
    restore: header("x-amz-restore"),
    meta: names.filter(([name]) => name.startsWith("x-amz-meta-")).map(([name, value]) => [name.slice("x-amz-meta-".length), value]),
    facts: FACTS.map(([name, label]) => /** @type {[string, string]} */ ([label, header(name)])).filter(([, value]) => value),
  };
}

/** @param {{name: any, value: string, shown?: any, mono?: boolean}} props */
const Fact = ({ name, value, shown, mono = false }) => html`
  <div class="fact"><dt>${name}</dt><dd class=${mono ? "mono" : ""}><span class="value"><bdi>${shown ?? display(value)}</bdi></span><${Copy} text=${value} label=${`Copy ${typeof name === "string" ? name.toLowerCase() : "value"}`} /></dd></div>
`;

/** @param {{title: string, children: any, open?: boolean, actions?: any}} props */
const Section = ({ title, children, actions }) => html`<section class="facts-section"><header><h3>${title}</h3>${actions}</header>${children}</section>`;

/** @param {{bucket: string, key_: string}} props */
function Tags({ bucket, key_: key }) {
  const [tags, setTags] = useState(/** @type {[string, string][] | null} */ (null));
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const [round, again] = useState(0);
  const granted = may("tags", bucket, parent(key));
  useEffect(() => {
    setTags(null);
    setFailure(null);
    if (granted) s3.tags(bucket, key).then(setTags, setFailure);
  }, [bucket, key, granted, round]);
  const edit = async () => {
    const [{ ask }, { EditPairs }] = await Promise.all([import("./dialogs/dialog.js"), import("./dialogs/pairs.js")]);
    const done = await ask(EditPairs, { title: "Edit tags", pairs: tags ?? [], save: (/** @type {[string, string][]} */ pairs) => s3.putTags(bucket, key, pairs) });
    if (done) again(round + 1);
  };
  const writable = may("write", bucket, parent(key));
  if (!granted) return html`<${Section} title="Tags"><p class="small muted">You need s3:GetObjectTagging here.</p><//>`;
  if (failure) {
    const words = failure.status === 403 ? "You need tags (s3:GetObjectTagging) here." : failure.status === 501 ? "This storage has no tags." : failure.message;
    return html`<${Section} title="Tags"><p class="small muted">${words}</p><//>`;
  }
  return html`
    <${Section} title="Tags" actions=${tags && writable && html`<button class="quiet" onClick=${edit}>Edit</button>`}>
      ${tags?.length ? html`<dl>${tags.map(([name, value]) => html`<${Fact} key=${name} name=${display(name)} value=${value} />`)}</dl>` : html`<p class="small muted">${tags ? "None." : "…"}</p>`}
    <//>
  `;
}

/** @param {{bucket: string, key_: string, etag: string}} props */
function Versions({ bucket, key_: key, etag }) {
  const [list, setList] = useState(/** @type {s3.Version[] | null} */ (null));
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const [round, again] = useState(0);
  const granted = may("versions", bucket, parent(key));
  useEffect(() => {
    setList(null);
    setFailure(null);
    const controller = new AbortController();
    if (granted) s3.versions(bucket, key, { signal: controller.signal }).then((found) => setList(found.filter((version) => version.key === key)), (error) => !isAbort(error) && setFailure(error));
    return () => controller.abort();
  }, [bucket, key, granted, round, etag]);
  if (!granted) return html`<${Section} title="Versions"><p class="small muted">You need versions (s3:ListBucketVersions) here.</p><//>`;
  if (failure) return html`<${Section} title="Versions"><p class="small muted">${failure.status === 403 ? "You need versions (s3:ListBucketVersions) here." : failure.message}</p><//>`;
  const menu = (/** @type {s3.Version} */ row) => (/** @type {MouseEvent} */ event) => {
    const after = () => again(round + 1);
    openMenu(/** @type {Element} */ (event.currentTarget), "Version", [
      { label: "Download", icon: "download", disabled: row.marker ? "A delete marker has no content." : "", run: () => downloadKey(bucket, key, row.version) },
      { label: "Restore this version", icon: "restore", disabled: row.marker || row.latest ? "It is the present one, or a delete marker." : missing("write", bucket, parent(key)), run: () => import("./versions.js").then(({ restoreVersion }) => restoreVersion(bucket, key, row).then(after)) },
      { label: "Delete this version…", icon: "trash", danger: true, rule: true, disabled: missing("delete", bucket, parent(key)), run: () => import("./versions.js").then(({ deleteVersion }) => deleteVersion(bucket, key, row).then(after)) },
    ]);
  };
  return html`
    <${Section} title="Versions">
      ${list === null ? html`<p class="small muted">…</p>` : list.length < 2 && (!list[0]?.version || list[0].version === "null") ? html`<p class="small muted">Only this one.</p>` : html`
        <ul class="versions">
          ${list.map((row) => html`<li key=${row.version}><span class="grow">${moment(row.modified)}${row.latest && html` <span class="badge ok">present</span>`}${row.marker && html` <span class="badge warn">deleted</span>`}<br /><span class="small muted mono id">${row.version}</span></span><span class="num small">${row.marker ? "" : size(row.size)}</span><button class="icon-button small" aria-label=${`Actions for the version of ${moment(row.modified)}`} aria-haspopup="menu" onClick=${menu(row)}><${Icon} name="more" /></button></li>`)}
        </ul>`}
    <//>
  `;
}

/** Whether an object of this class can be read now. @param {Head} head */
const archived = (head) => /GLACIER|DEEP_ARCHIVE/.test(head.cls) && head.cls !== "GLACIER_IR" && !/ongoing-request="false"/.test(head.restore);

/** @param {{bucket: string, key_: string, head: Head}} props */
function Facts({ bucket, key_: key, head }) {
  const edit = async () => {
    const { editMetadata } = await import("./dialogs/metadata.js");
    editMetadata(bucket, key, head);
  };
  const writable = may("write", bucket, parent(key)) && may("read", bucket, parent(key));
  return html`
    <${Section} title="Facts">
      <dl>
        <${Fact} name="Size" value=${String(head.size)} shown=${exact(head.size)} />
        <${Fact} name="Modified" value=${iso(head.modified)} shown=${moment(head.modified)} />
        <${Fact} name="Type" value=${head.type} mono=${true} />
        <${Fact} name="Class" value=${head.cls} />
        <${Fact} name="ETag" value=${head.etag} mono=${true} />
        ${head.version && head.version !== "null" && html`<${Fact} name="Version" value=${head.version} mono=${true} />`}
        ${head.facts.map(([name, value]) => html`<${Fact} key=${name} name=${name} value=${value} />`)}
        <${Fact} name="Address" value=${s3uri(bucket, key)} mono=${true} />
        <${Fact} name="Page" value=${location.origin + href(object(bucket, key))} mono=${true} />
      </dl>
    <//>
    <${Section} title="Metadata" actions=${writable && html`<button class="quiet" onClick=${edit}>Edit</button>`}>
      ${head.meta.length ? html`<dl>${head.meta.map(([name, value]) => html`<${Fact} key=${name} name=${display(name)} value=${value} />`)}</dl>` : html`<p class="small muted">None.</p>`}
    <//>
    <${Tags} bucket=${bucket} key_=${key} />
    <${Versions} bucket=${bucket} key_=${key} etag=${head.etag} />
  `;
}

/** @param {{bucket: string, key_: string, head: Head}} props */
function Archived({ bucket, key_: key, head }) {
  const ongoing = /ongoing-request="true"/.test(head.restore);
  const restore = async () => {
    const [{ ask }, { Restore }] = await Promise.all([import("./dialogs/dialog.js"), import("./dialogs/restore.js")]);
    await ask(Restore, { bucket, name: key });
  };
  return html`<div class="banner warn"><${Icon} name="archive" /><div class="grow"><p>${text.archived(head.cls)}${ongoing ? " A restore is under way." : ""}</p></div>${!ongoing && may("write", bucket, parent(key)) && html`<div class="actions"><button class="button" onClick=${restore}>Restore…</button></div>`}</div>`;
}

/** @param {KeyboardEvent} event @param {boolean} full */
function keys(event, full) {
  if (typing(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") {
    if (full) adjust({ view: "" });
    else closePane();
  } else if (full && event.key === "ArrowLeft") neighbour(-1);
  else if (full && event.key === "ArrowRight") neighbour(1);
  else return;
  event.preventDefault();
  event.stopPropagation();
}

export function Pane() {
  const { bucket, open: key, view } = place.value;
  const full = view === "full";
  const [head, setHead] = useState(/** @type {Head | null} */ (null));
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const [round, again] = useState(0);
  const off = unaddressable(key);
  const title = useRef(/** @type {HTMLElement | null} */ (null));

  useEffect(() => {
    const controller = new AbortController();
    setHead(null);
    setFailure(null);
    if (key && !off) headOf(bucket, key, controller.signal).then(setHead, (error) => !isAbort(error) && setFailure(error));
    return () => controller.abort();
  }, [bucket, key, round]);
  useEffect(() => {
    if (online.value && failure?.status === 0) again((n) => n + 1);
  }, [online.value]);
  useEffect(() => {
    const reread = (/** @type {any} */ event) => event.detail === key && again((n) => n + 1);
    addEventListener("gateway:written", reread);
    return () => removeEventListener("gateway:written", reread);
  }, [key]);
  useEffect(() => {
    if (!full) return undefined;
    // Keys belong to what fills the page, not to the list below it.
    title.current?.focus();
    const listen = (/** @type {KeyboardEvent} */ event) => !event.defaultPrevented && keys(event, true);
    addEventListener("keydown", listen);
    return () => {
      removeEventListener("keydown", listen);
      focusList();
    };
  }, [full]);
  if (!key) return null;

  const name = base(key);
  const row = { name: key.slice(parent(key).length), folder: false, size: head?.size ?? NaN, modified: NaN, cls: "" };
  const why = refusal(BY_ID.download, [row]);
  const shareWhy = refusal(BY_ID.share, [row]);
  const more = (/** @type {MouseEvent} */ event) =>
    openMenu(
      /** @type {Element} */ (event.currentTarget),
      "More",
      ["move", "copy", "rename", "uri", "delete"].map((id) => ({ ...BY_ID[id], disabled: refusal(BY_ID[id], [row]), rule: id === "delete", run: () => BY_ID[id].run([row]) })),
    );
  const words = failure?.status === 404 ? text.gone(name) : failure?.status === 403 ? missing("read", bucket, parent(key)) || failure.message : undefined;
  return html`
    <aside class=${cls("pane", full && "full")} aria-label=${full ? "Full view" : "Details"} style=${{ "--pane": `${prefs.value.paneWidth}px` }} onKeyDown=${(/** @type {KeyboardEvent} */ event) => keys(event, full)}>
      ${!full && html`<${Divider} label="Width of the details" value=${prefs.value.paneWidth} min=${320} max=${Math.round(innerWidth / 2)} sign=${-1} name="paneWidth" />`}
      <header class="pane-head">
        <${Icon} name=${iconFor(extension(name))} />
        <h2 ref=${title} class="grow" tabindex="-1"><bdi>${display(name)}</bdi></h2>
        ${full && html`<button class="icon-button" aria-label="Previous file" onClick=${() => neighbour(-1)}><${Icon} name="left" /></button><button class="icon-button" aria-label="Next file" onClick=${() => neighbour(1)}><${Icon} name="right" /></button>`}
        <button class="icon-button" aria-label=${full ? "Leave full view" : "Full view"} aria-pressed=${full ? "true" : "false"} onClick=${() => adjust({ view: full ? "" : "full" })}><${Icon} name=${full ? "collapse" : "expand"} /></button>
        <button class="icon-button" aria-label="Close" onClick=${closePane}><${Icon} name="close" /></button>
      </header>
      <div class="pane-body">
        ${off ? html`<p class="banner warn">${text.unaddressable}</p>` : failure ? html`<${Problem} failure=${failure} message=${words} action="s3:GetObject" bucket=${bucket} prefix=${parent(key)} />` : html`
          <div class="preview">
            ${head === null ? html`<div class="skeleton"><div class="bone tall"></div></div>` : archived(head) ? html`<${Archived} bucket=${bucket} key_=${key} head=${head} />` : html`<${Preview} key=${`${bucket}/${key}/${head.etag}`} bucket=${bucket} name=${key} head=${head} full=${full} />`}
          </div>
          <div class="side">
          <div class="pane-actions">
            <${Tool} icon="download" label="Download" why=${why} run=${() => downloadKey(bucket, key)} />
            <${Tool} icon="share" label="Share" why=${shareWhy} run=${() => BY_ID.share.run([row])} />
            <button class="button" onClick=${() => BY_ID.link.run([row])}><${Icon} name="link" />Link</button>
            <button class="icon-button" aria-label="More actions" aria-haspopup="menu" onClick=${more}><${Icon} name="more" /></button>
          </div>
          ${head && html`<${Facts} bucket=${bucket} key_=${key} head=${head} />`}
          </div>`}
      </div>
    </aside>
  `;
}

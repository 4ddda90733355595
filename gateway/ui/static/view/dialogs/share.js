/**
 * A share link: what others may do with it, until when, how often, with which password.
 */
import { html, style, uid, useMemo, useState } from "../../lib/dom.js";
import { missing } from "../../model/session.js";
import { base, display, parent } from "../../s3/names.js";
import { send } from "../../s3/send.js";
import { Copy, copyText } from "../copy.js";
import { toast } from "../toasts.js";
import { Dialog } from "./dialog.js";

await style("parts");

const HOUR = 3600;
const TERMS = /** @type {const} */ ([
  [HOUR, "1 hour"],
  [24 * HOUR, "1 day"],
  [7 * 24 * HOUR, "7 days"],
  [30 * 24 * HOUR, "30 days"],
]);

/** A presigned URL is what anybody holds who sees it: an hour at most (S3-8). */
const SHORT_TERMS = /** @type {const} */ ([
  [300, "5 minutes"],
  [900, "15 minutes"],
  [HOUR, "1 hour"],
]);

/**
 * A URL for programs: signed here with a fresh key that reads this bucket only and ends with the URL.
 * @param {string} bucket @param {string} key @param {number} seconds
 */
async function presign(bucket, key, seconds) {
  const { presigned } = await import("../../lib/presign.js");
  const order = { name: `URL of ${display(base(key))}`.slice(0, 64), lifetime: seconds, read_only: true, buckets: [bucket] };
  const { body } = await send({ method: "POST", url: "/api/keys", headers: { "Content-Type": "application/json" }, body: JSON.stringify(order), as: "json" });
  const { endpoint = location.origin, region = "us-east-1" } = document.documentElement.dataset;
  return presigned({ endpoint, region, bucket, key, id: body.id, secret: body.secret, seconds, now: new Date() });
}

/** @param {{bucket: string, name: string, folder: boolean, done: (value?: any) => void}} props */
export function Share({ bucket, name: key, folder, done }) {
  const [allow, setAllow] = useState("view");
  const [term, setTerm] = useState(/** @type {number} */ (7 * 24 * HOUR));
  const [date, setDate] = useState("");
  const [locked, setLocked] = useState(false);
  const [password, setPassword] = useState("");
  const [counted, setCounted] = useState(false);
  const [uses, setUses] = useState(10);
  const [made, setMade] = useState("");
  const group = useMemo(() => uid("share"), []);
  const options = [["view", "View and download"], ["download", "Download only"], ...(folder ? [["upload", "Upload only"]] : crypto.subtle ? [["url", "Download by program, by a presigned URL"]] : [])];
  const plain = allow === "url";
  const terms = plain ? SHORT_TERMS : TERMS;
  const lasts = terms.some(([value]) => value === term) ? term : terms[terms.length - 1][0];
  const why = allow === "upload" ? missing("write", bucket, key) : missing("read", bucket, folder ? key : parent(key));

  const shown = async (/** @type {string} */ url) => {
    if (await copyText(url)) toast("The link is copied.", { kind: "ok" });
    setMade(url);
    return false;
  };
  const create = async () => {
    if (plain) return shown(await presign(bucket, key, lasts));
    const until = date ? new Date(date) : new Date(Date.now() + lasts * 1000);
    const order = {
      bucket,
      ...(folder ? { prefix: key } : { key }),
      allow,
      expires_at: until.toISOString(),
      ...(locked ? { password } : {}),
      ...(counted ? { max_uses: uses } : {}),
    };
    const { body } = await send({ method: "POST", url: "/api/shares", headers: { "Content-Type": "application/json" }, body: JSON.stringify(order), as: "json" });
    return shown(new URL(body.url, location.origin).href);
  };
  if (made) {
    return html`<${Dialog} key="made" title="The link is ready" done=${done} cancel="Close"><div class="snippet"><pre tabindex="0">${made}</pre><${Copy} text=${made} label="Copy link" /></div><p class="small muted">${plain ? "It ends when you lose the right yourself, or revoke its key under Access keys." : "It ends when you lose the right yourself. Revoke it under Share links."}</p><//>`;
  }
  return html`
    <${Dialog} key="make" title=${html`Share <bdi>${display(base(key) || bucket)}</bdi>`} done=${done} submit=${create} action="Create and copy" ready=${!why && (plain || !locked || password.length >= 4) && (plain || !counted || uses > 0)} focusAction=${true}>
      <fieldset><legend>Others may</legend><div class="options">${options.map(([value, label]) => html`<label key=${value} class="check-line"><input type="radio" name=${`${group}-may`} checked=${allow === value} onChange=${() => setAllow(value)} />${label}</label>`)}</div></fieldset>
      <fieldset><legend>Until</legend><div class="options">
        ${terms.map(([value, label]) => html`<label key=${value} class="check-line"><input type="radio" name=${`${group}-until`} checked=${!(date && !plain) && lasts === value} onChange=${() => (setTerm(value), setDate(""))} />${label}</label>`)}
        ${!plain && html`<label class="check-line">date <input class="field" type="datetime-local" value=${date} onInput=${(/** @type {any} */ event) => setDate(event.target.value)} /></label>`}
      </div></fieldset>
      ${!plain && html`<label class="check-line"><input type="checkbox" checked=${locked} onChange=${(/** @type {any} */ event) => setLocked(event.target.checked)} />Password</label>
      ${locked && html`<input class="field" type="password" autocomplete="new-password" aria-label="Password, at least 4 characters" value=${password} onInput=${(/** @type {any} */ event) => setPassword(event.target.value)} />`}
      <label class="check-line"><input type="checkbox" checked=${counted} onChange=${(/** @type {any} */ event) => setCounted(event.target.checked)} />At most some uses</label>
      ${counted && html`<input class="field" type="number" min="1" aria-label="Uses" value=${uses} onInput=${(/** @type {any} */ event) => setUses(Number(event.target.value))} />`}`}
      <p class="small muted">${why || "Others get what you may do at that time, never more."}</p>
    <//>
  `;
}

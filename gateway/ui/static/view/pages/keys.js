/**
 * Access keys of one's own: the list, making one, and lines to paste.
 */
import { html, style, useEffect, useState } from "../../lib/dom.js";
import { moment } from "../../lib/format.js";
import { Icon } from "../../lib/icons.js";
import { locations } from "../../model/session.js";
import { send } from "../../s3/send.js";
import { Problem } from "../banner.js";
import { Copy } from "../copy.js";
import { Dialog, ask } from "../dialogs/dialog.js";
import { toast } from "../toasts.js";
import { snippets } from "./snippets.js";

await style("parts");

/** @typedef {{id: string, name: string, buckets: string[], read_only: boolean, created_at: string, expires_at: string, last_used: {at: string, address: string, program: string} | null, secret?: string}} Key */

const DAY = 86_400;
const TERMS = /** @type {const} */ ([[DAY, "1 day"], [7 * DAY, "7 days"], [30 * DAY, "30 days"], [90 * DAY, "90 days"], [365 * DAY, "1 year"]]);

/** @param {{most: number, done: (value?: any) => void}} props */
function Create({ most, done }) {
  const terms = TERMS.filter(([seconds]) => seconds <= most);
  const longest = terms.length ? terms : [/** @type {const} */ ([most, "as long as is allowed"])];
  const [name, setName] = useState("");
  const [lifetime, setLifetime] = useState(/** @type {number} */ (longest[longest.length - 1][0]));
  const [readOnly, setReadOnly] = useState(false);
  const [buckets, setBuckets] = useState(/** @type {string[]} */ ([]));
  const names = [...new Set(locations.value.map(({ bucket }) => bucket))];
  const create = async () => {
    const body = JSON.stringify({ name, lifetime, read_only: readOnly, buckets });
    return (await send({ method: "POST", url: "/api/keys", headers: { "Content-Type": "application/json" }, body, as: "json" })).body;
  };
  const pick = (/** @type {string} */ bucket) => (/** @type {any} */ event) => setBuckets(event.target.checked ? [...buckets, bucket] : buckets.filter((other) => other !== bucket));
  return html`
    <${Dialog} title="Create an access key" done=${done} submit=${create} action="Create" ready=${name.trim() !== ""}>
      <label class="form-field">Name<input class="field" maxlength="64" placeholder="laptop, nightly backup …" value=${name} onInput=${(/** @type {any} */ event) => setName(event.target.value)} /></label>
      <label class="form-field">Lifetime<select class="field" onChange=${(/** @type {any} */ event) => setLifetime(Number(event.target.value))}>${longest.map(([seconds, label]) => html`<option key=${seconds} value=${seconds} selected=${seconds === lifetime}>${label}</option>`)}</select></label>
      <label class="check-line"><input type="checkbox" checked=${readOnly} onChange=${(/** @type {any} */ event) => setReadOnly(event.target.checked)} />Read only</label>
      <fieldset><legend>Only these buckets <span class="muted small">(none chosen: all of yours)</span></legend><div class="options">${names.map((bucket) => html`<label key=${bucket} class="check-line"><input type="checkbox" checked=${buckets.includes(bucket)} onChange=${pick(bucket)} />${bucket}</label>`)}</div></fieldset>
    <//>
  `;
}

/** @param {{text: string, label: string}} props */
const Snippet = ({ text, label }) => html`<div class="snippet"><pre tabindex="0" aria-label=${label}>${text}</pre><${Copy} text=${text} label=${`Copy ${label}`} of=${undefined} /></div>`;

/** @param {{made: Key | null}} props */
function Snippets({ made }) {
  const list = snippets({ id: made?.id ?? "", secret: made?.secret ?? "", buckets: made?.buckets ?? [] });
  const shown = list.filter((row) => made || !row.secret);
  const [chosen, setChosen] = useState(shown[0].id);
  const row = shown.find(({ id }) => id === chosen) ?? shown[0];
  const keys = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const next = shown[(shown.indexOf(row) + step + shown.length) % shown.length];
    setChosen(next.id);
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label="Programs" onKeyDown=${keys}>
      ${shown.map(({ id, label }) => html`<button key=${id} type="button" role="tab" id=${`tab-${id}`} aria-controls="snippet" aria-selected=${id === row.id ? "true" : "false"} tabindex=${id === row.id ? 0 : -1} onClick=${() => setChosen(id)}>${label}</button>`)}
    </div>
    <div id="snippet" role="tabpanel" aria-labelledby=${`tab-${row.id}`} class="stack">
      <${Snippet} text=${row.setup} label=${`set-up for ${row.label}`} />
      <p class="small muted">${row.note.split("`").map((part, i) => (i % 2 ? html`<code>${part}</code>` : part))}</p>
      <${Snippet} text=${row.test} label=${`test for ${row.label}`} />
    </div>
  `;
}

/** The one time that a secret is shown. @param {{made: Key, close: () => void}} props */
function Secret({ made, close }) {
  const [saved, setSaved] = useState(false);
  return html`
    <section class="secret" aria-label="The new key">
      <h2 class="page-title">${made.name}</h2>
      <p><strong>This secret is shown once.</strong> Copy it now; nobody can show it again.</p>
      <dl>
        <div class="fact"><dt>Key id</dt><dd class="mono"><span class="value">${made.id}</span><${Copy} text=${made.id} label="Copy key id" /></dd></div>
        <div class="fact"><dt>Secret</dt><dd class="mono"><span class="value">${made.secret}</span><${Copy} text=${made.secret ?? ""} label="Copy secret" /></dd></div>
      </dl>
      <${Snippets} made=${made} />
      <div class="options"><label class="check-line"><input type="checkbox" checked=${saved} onChange=${(/** @type {any} */ event) => setSaved(event.target.checked)} />I have saved it</label><button class="button primary" disabled=${!saved} onClick=${close}>Close</button></div>
    </section>
  `;
}

/** @param {{row: Key, done: (value?: any) => void}} props */
const Revoke = ({ row, done }) => html`
  <${Dialog} title=${html`Revoke <bdi>${row.name}</bdi>?`} done=${done} submit=${() => send({ method: "DELETE", url: `/api/keys/${encodeURIComponent(row.id)}` }).then(() => true)} action="Revoke" danger=${true} focusAction=${true}><p>Programs that use it are refused at once.</p><//>
`;

export function Keys() {
  const [answer, setAnswer] = useState(/** @type {{keys: Key[], personal: boolean, max_lifetime: number} | null} */ (null));
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const [made, setMade] = useState(/** @type {Key | null} */ (null));
  const load = () => send({ url: "/api/keys", as: "json" }).then(({ body }) => (setFailure(null), setAnswer(body)), setFailure);
  useEffect(() => {
    load();
  }, []);
  const create = async () => {
    const key = await ask(Create, { most: answer?.max_lifetime ?? 90 * DAY });
    if (key) setMade(key);
    load();
  };
  const revoke = async (/** @type {Key} */ row) => {
    if (!(await ask(Revoke, { row }))) return;
    toast(`Revoked ${row.name}.`, { kind: "ok" });
    if (made?.id === row.id) setMade(null);
    load();
  };
  const keys = answer?.keys ?? [];
  return html`
    <div class="page-head"><h1 class="page-title">Access keys</h1>${!made && answer?.personal !== false && html`<button class="button primary" onClick=${create}><${Icon} name="key" />Create</button>`}</div>
    ${failure && html`<${Problem} failure=${failure} actions=${html`<button class="button" onClick=${load}>Try again</button>`} />`}
    ${answer?.personal === false && html`<p class="banner">Personal access keys are switched off here.</p>`}
    ${made && html`<${Secret} made=${made} close=${() => setMade(null)} />`}
    ${keys.length > 0 && html`
      <div class="wide-table" tabindex="0" role="region" aria-label="Your access keys"><table class="table" role="table">
        <thead role="rowgroup"><tr role="row">${["Name", "Key id", "Scope", "Made", "Last used", "Expires"].map((name) => html`<th key=${name} role="columnheader" scope="col">${name}</th>`)}<th role="columnheader" scope="col"><span class="hidden">Revoke</span></th></tr></thead>
        <tbody role="rowgroup">${keys.map((row) => html`
          <tr key=${row.id} role="row">
            <th role="rowheader" scope="row"><bdi>${row.name}</bdi></th><td role="cell" data-label="Key id" class="mono">${row.id}</td>
            <td role="cell" data-label="Scope">${row.read_only ? "read only" : "as you"}${row.buckets.length ? `: ${row.buckets.join(", ")}` : ""}</td>
            <td role="cell" data-label="Made">${moment(row.created_at)}</td>
            <td role="cell" data-label="Last used">${row.last_used ? html`${moment(row.last_used.at)}<br /><span class="muted">${row.last_used.address} ${row.last_used.program}</span>` : "never"}</td>
            <td role="cell" data-label="Expires">${moment(row.expires_at)}</td>
            <td role="cell"><button class="button small danger-text" onClick=${() => revoke(row)}>Revoke<span class="hidden"> ${row.name}</span></button></td>
          </tr>`)}</tbody>
      </table></div>`}
    ${answer && !keys.length && !made && html`<p class="muted">You have no access keys. With one, any S3 tool works against this gateway with your rights.</p>`}
    ${!made && html`<h2 class="sub-title">Without a secret to keep</h2><div class="stack"><${Snippets} made=${null} /></div>`}
  `;
}

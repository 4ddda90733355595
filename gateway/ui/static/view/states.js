/**
 * What the list says beside its rows: loading, empty, capped, refused, away.
 */
import { html, useEffect, useState } from "../lib/dom.js";
import { say } from "../lib/announce.js";
import { plural } from "../lib/format.js";
import { Icon } from "../lib/icons.js";
import { text } from "../lib/text.js";
import { HARD_CAP, SOFT_CAP } from "../model/listing.js";
import { browse, go, place } from "../model/place.js";
import { may, missing, status } from "../model/session.js";
import { display, s3uri } from "../s3/names.js";
import { uploads } from "../upload/board.js";
import { pick } from "./actions.js";
import { Banner, Countdown, Problem } from "./banner.js";
import { jump } from "./dialogs/dialog.js";
import { size } from "../lib/format.js";
import { PHASES } from "../lib/text.js";

const SKELETON_AFTER = 150; // ms: faster answers show no skeleton
const SLOW_AFTER = 5000; // ms

/** @param {number} ms */
function useAfter(ms) {
  const [passed, pass] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => pass(true), ms);
    return () => clearTimeout(timer);
  }, []);
  return passed;
}

function Loading() {
  const skeleton = useAfter(SKELETON_AFTER);
  const slow = useAfter(SLOW_AFTER);
  if (!skeleton) return null;
  return html`
    <div class="skeleton" aria-busy="true">
      ${slow && html`<p class="muted">${text.waiting}</p>`}
      ${[62, 48, 71, 40, 56, 66, 44].map((width) => html`<div class="bone" style=${{ width: `${width}%` }}></div>`)}
    </div>
  `;
}

/** Files put into a place that cannot be listed, as this tab knows them. @param {{bucket: string, prefix: string}} props */
function WriteOnly({ bucket, prefix }) {
  const own = uploads.value.filter((upload) => upload.bucket === bucket && upload.key.startsWith(prefix));
  return html`
    <div class="empty">
      <${Icon} name="upload" />
      <p>${text.writeOnly}</p>
      <button class="button primary" onClick=${() => pick("files")}><${Icon} name="upload" />Upload</button>
      ${own.length > 0 && html`<ul class="own">${own.map((upload) => html`<li key=${upload.id}><bdi>${display(upload.key.slice(prefix.length))}</bdi> <span class="muted">${size(upload.size)} · ${PHASES[upload.state.value.phase]}</span></li>`)}</ul>`}
    </div>
  `;
}

/** @param {{listing: import("../model/listing.js").Listing}} props */
function Empty({ listing }) {
  const { bucket, prefix, starts } = listing;
  const { filter } = place.value;
  const writable = may("write", bucket, prefix);
  if (filter) {
    return html`
      <div class="empty">
        <p>${text.noMatch(filter)}</p>
        <p class="links">
          <button class="button" onClick=${() => go({ ...browse(bucket, prefix), starts: filter })}>Keys starting with ‘${filter}’</button>
          <button class="button" onClick=${() => import("./dialogs/search.js").then(({ search }) => search(filter))}>Search below this folder</button>
        </p>
      </div>
    `;
  }
  if (starts) return html`<div class="empty"><p>No name here starts with ‘${starts}’.</p><button class="button" onClick=${() => go(browse(bucket, prefix))}>Show all names</button></div>`;
  return html`
    <div class="empty">
      <${Icon} name="folder" />
      <p>${prefix ? html`No objects under <code><bdi>${display(prefix)}</bdi></code>.` : "No objects in this location."} ${writable ? text.emptyWrite : text.emptyRead}</p>
      ${writable && html`<button class="button primary" onClick=${() => pick("files")}><${Icon} name="upload" />Upload</button>`}
    </div>
  `;
}

/** @param {{listing: import("../model/listing.js").Listing, empty: boolean}} props */
export function States({ listing, empty }) {
  const state = listing.state.value;
  const failure = listing.failure.value;
  const retryAt = listing.retryAt.value;
  const { bucket, prefix } = listing;
  listing.version.value;
  useEffect(() => {
    if (state === "done") say(text.items(listing.rows.length));
  }, [state, listing]);

  if (state === "failed" && failure) {
    if (status.value === "ended") return empty ? html`<div class="empty"><${Icon} name="lock" /><p>${text.endedHere}</p></div>` : null;
    if (retryAt) return html`<${Countdown} failure=${failure} until=${retryAt} slow=${failure.status === 429 || failure.code === "SlowDown"} now=${() => listing.run()} />`;
    if (failure.status === 403 && may("write", bucket, prefix) && !may("list", bucket, prefix)) return html`<${WriteOnly} bucket=${bucket} prefix=${prefix} />`;
    const words = failure.status === 403 ? missing("list", bucket, prefix) || failure.message : failure.status === 404 ? `There is no ${s3uri(bucket, "")} here.` : undefined;
    return html`<${Problem} failure=${failure} message=${words} action="s3:ListBucket" actions=${html`<button class="button" onClick=${() => listing.run()}>Try again</button>`} />`;
  }
  if (state === "loading" && empty && listing.pages === 0) return html`<${Loading} key=${`${bucket}/${prefix}`} />`;
  const n = listing.rows.length;
  if (state === "capped") {
    return html`<${Banner} actions=${html`<button class="button" onClick=${() => listing.more()}>Load ${plural(SOFT_CAP, "more", "more")}</button><button class="button" onClick=${() => jump()}>Jump to prefix…</button>`}><p>${text.capped(n)}</p><//>`;
  }
  if (state === "full" || n >= HARD_CAP) return html`<${Banner} actions=${html`<button class="button" onClick=${() => jump()}>Jump to prefix…</button>`}><p>${text.full(n)}</p><//>`;
  if (state === "stopped") return html`<${Banner} actions=${html`<button class="button" onClick=${() => listing.run()}>Go on</button>`}><p>${text.stopped(n)}</p><//>`;
  return empty && (state === "done" || place.value.filter) ? html`<${Empty} listing=${listing} />` : null;
}


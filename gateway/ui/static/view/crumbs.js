/**
 * The breadcrumb: one link a level, the item count, copying the address, typing a place.
 */
import { html, useEffect, useRef, useState } from "../lib/dom.js";
import { Icon } from "../lib/icons.js";
import { text } from "../lib/text.js";
import { current } from "../model/listing.js";
import { browse, go, link, object, place } from "../model/place.js";
import { known, locationOf } from "../model/session.js";
import { display, s3uri, typedPlace } from "../s3/names.js";
import { Copy } from "./copy.js";
import { dropTarget } from "./drop.js";
import { toast } from "./toasts.js";

/** Levels of a place: each with its name and prefix. @param {string} bucket @param {string} prefix */
export function levels(bucket, prefix) {
  const found = [{ name: bucket, prefix: "" }];
  let at = 0;
  for (let slash = prefix.indexOf("/"); slash >= 0; slash = prefix.indexOf("/", at)) {
    found.push({ name: prefix.slice(at, slash), prefix: prefix.slice(0, slash + 1) });
    at = slash + 1;
  }
  return found;
}

function Count() {
  const listing = current.value;
  if (!listing) return null;
  listing.version.value;
  const state = listing.state.value;
  const n = listing.rows.length;
  if (state === "loading") return html`<span class="count muted">${n ? text.listing(n) : ""}${n > 0 && html`<button class="quiet" onClick=${() => listing.stop()}>Stop</button>`}</span>`;
  return html`<span class="count muted">${state === "done" ? text.items(n) : n ? `${text.items(n)} loaded` : ""}</span>`;
}

/** @param {{close: () => void}} props */
function TypedPlace({ close }) {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const { bucket, prefix } = place.value;
  useEffect(() => field.current?.select(), []);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const target = typedPlace(field.current?.value ?? "", known);
    if (!target) {
      toast("No location of yours has that name.", { kind: "error" });
      return;
    }
    close();
    go(target.key === "" || target.key.endsWith("/") ? browse(target.bucket, target.key) : object(target.bucket, target.key));
  };
  return html`<form class="grow" onSubmit=${submit}>
    <input ref=${field} class="field mono" aria-label="Address of a place" value=${s3uri(bucket, prefix)} spellcheck=${false} autocapitalize="off" onBlur=${close} onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && close()} />
  </form>`;
}

export function Crumbs() {
  const [typed, setTyped] = useState(false);
  const { bucket, prefix, starts } = place.value;
  const list = levels(bucket, prefix);
  const granted = (/** @type {string} */ level) => locationOf(bucket, level) !== null;
  if (typed) return html`<div class="crumbs"><${TypedPlace} close=${() => setTyped(false)} /></div>`;
  const last = list.length - 1;
  const here = list[last];
  return html`
    <div class="crumbs">
      <h1 class="hidden">${display(here.name)}</h1>
      <nav aria-label="Breadcrumb">
        <ol>
          ${list.map(
            (level, i) => html`
              <li key=${level.prefix} class=${i < last - 1 ? "early" : ""}>
                ${i === last
                  ? html`<span aria-current="page" class="here"><bdi>${display(level.name)}</bdi></span>`
                  : granted(level.prefix)
                    ? html`<a ...${link(browse(bucket, level.prefix))} ...${dropTarget(() => ({ bucket, prefix: level.prefix }))}><bdi>${display(level.name)}</bdi></a>`
                    : html`<span class="muted"><bdi>${display(level.name)}</bdi></span>`}
                <span class="slash" aria-hidden="true">/</span>
              </li>
            `,
          )}
          ${starts && html`<li><span class="badge">starts with ‘${display(starts)}’</span><button class="icon-button small" aria-label="Show all names" onClick=${() => go(browse(bucket, prefix))}><${Icon} name="close" /></button></li>`}
        </ol>
      </nav>
      <${Copy} text=${s3uri(bucket, prefix)} label="Copy s3:// address of this place" />
      <button class="blank grow" tabindex="-1" aria-hidden="true" onClick=${() => setTyped(true)}></button>
      <${Count} />
    </div>
  `;
}

/**
 * The rail: exactly what was granted, each with its rights and the reason for them.
 */
import { cls, html, uid, useMemo } from "../lib/dom.js";
import { Icon } from "../lib/icons.js";
import { at, browse, link, place } from "../model/place.js";
import { prefer, prefs } from "../model/prefs.js";
import { locations } from "../model/session.js";
import { display } from "../s3/names.js";
import { dropTarget } from "./drop.js";

/** @typedef {import("../model/session.js").Location} Location */

/** Short form of the rights, and the words for it. @param {Set<string>} allow @returns {[string, string]} */
export function badge(allow) {
  const [list, read, write, remove] = ["list", "read", "write", "delete"].map((verb) => allow.has(verb));
  if (write && !read && !list) return ["drop", "write only"];
  const short = `${read || list ? "R" : ""}${write ? "W" : ""}${remove ? "D" : ""}`;
  const words = [read ? "read" : list ? "list" : "", write ? "write" : "", remove ? "delete" : ""].filter(Boolean);
  return [short || "–", words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : (words[0] ?? "nothing")];
}

/** Rights and the reason for them; what stands between backticks is code. @param {{words: string, because: string}} props */
export function Why({ words, because }) {
  const parts = (because && !/^because/i.test(because) ? `because ${because}` : because).split("`");
  return html`${words}${because && ", "}${parts.map((part, i) => (i % 2 ? html`<code>${part}</code>` : part))}`;
}

/** @param {{location: Location, current: boolean, close: () => void}} props */
function Entry({ location, current, close }) {
  const { bucket, prefix, allow, because } = location;
  const [short, words] = badge(allow);
  const reason = useMemo(() => uid("because"), []);
  const target = link(browse(bucket, prefix));
  const follow = (/** @type {MouseEvent} */ event) => {
    target.onClick(event);
    close();
  };
  return html`
    <li>
      <a class=${cls("location", current && "current")} href=${target.href} onClick=${follow} aria-current=${current ? "page" : undefined} aria-describedby=${reason} ...${dropTarget(() => ({ bucket, prefix }))}>
        <${Icon} name=${prefix ? "folder" : "bucket"} />
        <span class="grow label"><bdi>${display(bucket)}</bdi>${prefix && html`<span class="muted sub"><bdi>${display(prefix.replace(/\/$/, ""))}</bdi></span>`}</span>
        <span class="badge" aria-hidden="true">${short}</span>
      </a>
      <span class="why" id=${reason} role="tooltip"><${Why} words=${words} because=${because} /></span>
    </li>
  `;
}

/** @param {{close?: () => void}} props */
export function Rail({ close = () => {} }) {
  const { bucket, prefix, page } = place.value;
  const list = locations.value;
  const here = list.filter((location) => location.bucket === bucket && prefix.startsWith(location.prefix)).sort((a, b) => b.prefix.length - a.prefix.length)[0];
  const entry = (/** @type {import("../model/place.js").Place} */ target) => {
    const handlers = link(target);
    return { href: handlers.href, onClick: (/** @type {MouseEvent} */ event) => (handlers.onClick(event), close()) };
  };
  return html`
    <nav class="rail" aria-label="Locations" style=${{ "--rail": `${prefs.value.railWidth}px` }}>
      <h2 class="section">Locations</h2>
      <ul>
        ${list.map((location) => html`<${Entry} key=${`${location.bucket}/${location.prefix}`} location=${location} current=${page === "browse" && location === here} close=${close} />`)}
      </ul>
      ${list.length === 0 && html`<p class="muted small none">No storage is mapped to you.</p>`}
      <ul class="tools">
        <li><a class=${cls("location", page === "keys" && "current")} aria-current=${page === "keys" ? "page" : undefined} ...${entry(at({ page: "keys" }))}><${Icon} name="key" /><span class="label">Access keys</span></a></li>
        <li><a class=${cls("location", page === "shares" && "current")} aria-current=${page === "shares" ? "page" : undefined} ...${entry(at({ page: "shares" }))}><${Icon} name="link" /><span class="label">Share links</span></a></li>
      </ul>
      <${Divider} label="Width of the locations" value=${prefs.value.railWidth} min=${160} max=${360} sign=${1} name="railWidth" />
    </nav>
  `;
}

/**
 * A bar between two parts that is dragged, or moved by arrow keys.
 * @param {{label: string, value: number, min: number, max: number, sign: 1 | -1, name: "railWidth" | "paneWidth"}} props
 */
export function Divider({ label, value, min, max, sign, name }) {
  const set = (/** @type {number} */ width) => prefer({ [name]: Math.round(Math.min(max, Math.max(min, width))) });
  const drag = (/** @type {PointerEvent} */ event) => {
    const bar = /** @type {HTMLElement} */ (event.currentTarget);
    const from = event.clientX;
    bar.setPointerCapture(event.pointerId);
    bar.onpointermove = (move) => set(value + (move.clientX - from) * sign);
    bar.onpointerup = () => (bar.onpointermove = null);
  };
  const keys = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowLeft: -16, ArrowRight: 16 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    set(value + step * sign);
  };
  return html`<div class="divider" role="separator" aria-orientation="vertical" aria-label=${label} aria-valuenow=${value} aria-valuemin=${min} aria-valuemax=${max} tabindex="0" onPointerDown=${drag} onKeyDown=${keys}></div>`;
}

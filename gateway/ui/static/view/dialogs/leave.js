/**
 * Signing out with uploads under way: they are named first.
 */
import { html } from "../../lib/dom.js";
import { count, plural } from "../../lib/format.js";
import { display } from "../../s3/names.js";
import { Dialog } from "./dialog.js";

const NAMED = 6;

/** @param {{uploads: import("../../upload/queue.js").Upload[], done: (value?: any) => void}} props */
export function Leave({ uploads, done }) {
  return html`
    <${Dialog} title=${`${plural(uploads.length, "upload")} would be cancelled`} done=${done} submit=${() => true} action="Sign out and cancel them" danger=${true} cancel="Stay">
      <ul class="names">${uploads.slice(0, NAMED).map((upload) => html`<li key=${upload.id}><bdi>${display(upload.key)}</bdi></li>`)}${uploads.length > NAMED && html`<li class="muted">and ${count(uploads.length - NAMED)} more</li>`}</ul>
    <//>
  `;
}

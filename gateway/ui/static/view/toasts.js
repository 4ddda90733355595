/**
 * Short messages above the tray. One with an action stays until it is dismissed.
 */
import { html, signal } from "../lib/dom.js";
import { Icon } from "../lib/icons.js";
import { cry, say } from "../lib/announce.js";

/** @typedef {{id: number, message: string, kind: "info" | "error" | "ok", action?: {label: string, run: () => void}}} Toast */

/** @type {import("../lib/dom.js").Signal<Toast[]>} */
const toasts = signal(/** @type {Toast[]} */ ([]));
let ids = 0;
const SHOWN_FOR = 6000; // ms; the same sentence was also said to screen readers

/** @param {string} message @param {{kind?: Toast["kind"], action?: Toast["action"]}} [options] */
export function toast(message, { kind = "info", action } = {}) {
  const id = (ids += 1);
  toasts.value = [...toasts.peek().slice(-3), { id, message, kind, action }];
  (kind === "error" ? cry : say)(message);
  if (!action && kind !== "error") setTimeout(() => dismiss(id), SHOWN_FOR);
}

/** @param {number} id */
const dismiss = (id) => (toasts.value = toasts.peek().filter((toast) => toast.id !== id));

export const Toasts = () => html`
  <div class="toasts">
    ${toasts.value.map(
      ({ id, message, kind, action }) => html`
        <div key=${id} class=${`toast ${kind}`}>
          <${Icon} name=${kind === "error" ? "warn" : kind === "ok" ? "check" : "info"} />
          <span class="grow">${message}</span>
          ${action && html`<button class="quiet" onClick=${() => (action.run(), dismiss(id))}>${action.label}</button>`}
          <button class="icon-button small" aria-label="Dismiss" onClick=${() => dismiss(id)}><${Icon} name="close" /></button>
        </div>
      `,
    )}
  </div>
`;

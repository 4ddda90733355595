/**
 * A button that stays visible when it cannot work, and says why.
 */
import { html, uid, useMemo } from "../lib/dom.js";
import { say } from "../lib/announce.js";
import { Icon } from "../lib/icons.js";

/** @param {{icon: string, label: string, why?: string, run: (event: MouseEvent) => void, primary?: boolean, danger?: boolean, menu?: boolean, compact?: boolean}} props */
export function Tool({ icon, label, why = "", run, primary, danger, menu, compact }) {
  const reason = useMemo(() => uid("why"), []);
  return html`
    <button class=${`button${primary ? " primary" : ""}${danger ? " danger-text" : ""}${compact ? " compact" : ""}`} aria-disabled=${why ? "true" : undefined} aria-haspopup=${menu ? "menu" : undefined}
      aria-describedby=${why ? reason : undefined} title=${why || (compact ? label : undefined)} onClick=${(/** @type {MouseEvent} */ event) => (why ? say(why) : run(event))}>
      <${Icon} name=${icon} /><span>${label}</span>${menu && html`<${Icon} name="down" />`}
    </button>${why && html`<span class="hidden" id=${reason}>${why}</span>`}
  `;
}

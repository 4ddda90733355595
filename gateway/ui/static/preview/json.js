/**
 * JSON as a tree and as source; big integers exact, faults shown with their place.
 */
import { html, useMemo, useState } from "../lib/dom.js";
import { parse } from "../lib/json.js";
import { plural } from "../lib/format.js";
import { Lines } from "./code.js";
import { Waiting, useSource } from "./source.js";

const OPEN_BELOW = 3; // levels open at first
const CHILDREN = 500; // drawn at once

/** @param {{node: import("../lib/json.js").Node, name?: string, depth: number}} props */
function Tree({ node, name, depth }) {
  const [open, setOpen] = useState(depth < OPEN_BELOW);
  const [shown, setShown] = useState(CHILDREN);
  const label = name !== undefined && html`<span class="j-key">${name}</span>: `;
  if (node.kind === "object" || node.kind === "array") {
    const children = /** @type {[string, import("../lib/json.js").Node][]} */ (node.kind === "object" ? node.entries : node.items.map((item, i) => [String(i), item]));
    return html`
      <details open=${open} onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
        <summary>${label}<span class="muted">${node.kind === "object" ? `{ ${plural(children.length, "member")} }` : `[ ${plural(children.length, "item")} ]`}</span></summary>
        ${open && html`<div>${children.slice(0, shown).map(([key, child], i) => html`<${Tree} key=${i} node=${child} name=${key} depth=${depth + 1} />`)}${children.length > shown && html`<button class="quiet" onClick=${() => setShown(shown + CHILDREN)}>${plural(children.length - shown, "more", "more")}…</button>`}</div>`}
      </details>
    `;
  }
  return html`<div>${label}<span class=${`j-${node.kind}`}>${node.kind === "string" ? JSON.stringify(node.text) : node.text}</span></div>`;
}

/** @param {import("./pick.js").Props} props */
export default function Json(props) {
  const { state, note } = useSource(props);
  const [source, setSource] = useState(false);
  const { tree, fault } = useMemo(() => {
    if (!state) return { tree: null, fault: "" };
    try {
      return { tree: parse(state.text), fault: "" };
    } catch (error) {
      return { tree: null, fault: state.whole ? /** @type {Error} */ (error).message : "" };
    }
  }, [state]);
  if (!state) return html`<${Waiting} />`;
  return html`
    <div>
      <div class="view-bar"><span class="grow muted">JSON</span>${tree && html`<button class="quiet" aria-pressed=${source ? "true" : "false"} onClick=${() => setSource(!source)}>Source</button>`}</div>
      ${note}${fault && html`<div class="view-note">Not valid JSON: ${fault}.</div>`}
      ${tree && !source ? html`<div class="view-tree" tabindex="0" role="region" aria-label="Tree"><${Tree} node=${tree} depth=${0} /></div>` : html`<${Lines} text=${state.text} language="json" />`}
    </div>
  `;
}

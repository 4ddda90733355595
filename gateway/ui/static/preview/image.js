/**
 * Pictures, by <img> alone: an SVG runs no script there.
 */
import { cls, html, useEffect, useState } from "../lib/dom.js";
import { size } from "../lib/format.js";
import { base, objectPath } from "../s3/names.js";

const ASKED_ABOVE = 20 * 1024 * 1024; // bytes

/** @param {import("./pick.js").Props} props */
export default function Picture({ bucket, name, head, full, fail }) {
  const [wanted, want] = useState(head.size <= ASKED_ABOVE);
  const [zoom, setZoom] = useState(0);
  useEffect(() => {
    if (!full) return undefined;
    const keys = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "+") setZoom((z) => Math.min(8, (z || 1) * 1.25));
      else if (event.key === "-" || event.key === "−") setZoom((z) => Math.max(0.1, (z || 1) / 1.25));
      else if (event.key === "0") setZoom(0);
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [full]);
  if (!wanted) return html`<div class="cannot"><p>This picture has ${size(head.size)}.</p><button class="button" onClick=${() => want(true)}>Show it</button></div>`;
  const measure = (/** @type {any} */ event) => (event.target.style.width = zoom ? `${event.target.naturalWidth * zoom}px` : "");
  return html`
    <div>
      <div class="view-bar"><span class="grow"></span><button class="quiet" aria-pressed=${zoom === 0 ? "true" : "false"} onClick=${() => setZoom(0)}>Fit</button><button class="quiet" aria-pressed=${zoom === 1 ? "true" : "false"} onClick=${() => setZoom(1)}>100 %</button></div>
      <div class=${cls("view-image", zoom > 0 && "actual")}>
        <img src=${`${objectPath(bucket, name)}#${head.etag}`} alt=${base(name)} ref=${(/** @type {HTMLImageElement | null} */ node) => node && (node.style.width = zoom ? `${node.naturalWidth * zoom}px` : "")} onLoad=${measure} onError=${() => fail(/** @type {any} */ ("The browser cannot show this picture."))} />
      </div>
    </div>
  `;
}

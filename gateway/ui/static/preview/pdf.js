/**
 * PDF in a frame of the object itself. No `sandbox` attribute: the object's own header does it, and the attribute would stop the viewer.
 */
import { html } from "../lib/dom.js";
import { base, objectPath } from "../s3/names.js";

/** @param {import("./pick.js").Props} props */
export default function Pdf({ bucket, name }) {
  return html`<iframe class="view-frame" title=${base(name)} src=${objectPath(bucket, name)}></iframe>`;
}

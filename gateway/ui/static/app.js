/**
 * Boot: the session, then the frame.
 */
import { html, render } from "./lib/dom.js";
import { load } from "./model/session.js";
import { fromTransfer } from "./upload/sources.js";
import { add } from "./upload/board.js";
import { place } from "./model/place.js";
import { typing } from "./lib/focus.js";
import { Frame } from "./view/frame.js";

render(html`<${Frame} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
load();

// Files in the clipboard are uploaded where the person stands.
addEventListener("paste", (event) => {
  const { bucket, prefix } = place.peek();
  if (!bucket || typing(event.target) || !event.clipboardData?.files.length) return;
  event.preventDefault();
  add(bucket, prefix, fromTransfer(event.clipboardData));
});

// Ready when Ctrl+K comes: letters typed right behind it must not be lost.
setTimeout(() => import("./view/dialogs/jump.js"), 3000);

// A file dropped beside a target must not replace the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());

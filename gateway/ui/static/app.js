/**
 * Boot: the session, then the frame.
 */
import { html, render } from "./lib/dom.js";
import { load } from "./model/session.js";
import { fromTransfer } from "./upload/sources.js";
import { add } from "./upload/board.js";
import { place } from "./model/place.js";
import { typing } from "./lib/focus.js";
import { text } from "./lib/text.js";
import { Frame } from "./view/frame.js";
import { toast } from "./view/toasts.js";

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
setTimeout(() => navigator.onLine && import("./view/dialogs/jump.js"), 3000);

// A dialog whose module cannot be fetched without a line.
addEventListener("unhandledrejection", (event) => {
  if (navigator.onLine || !(event.reason instanceof TypeError)) return;
  event.preventDefault();
  toast(text.partLost, { kind: "error" });
});

// A file dropped beside a target must not replace the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());

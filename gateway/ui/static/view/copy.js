/**
 * Copying text: by the clipboard, or, where the browser closes it, by selecting the text.
 */
import { html, useRef, useState } from "../lib/dom.js";
import { Icon } from "../lib/icons.js";
import { text as words } from "../lib/text.js";
import { say } from "../lib/announce.js";
import { toast } from "./toasts.js";

/** Whether the text is in the clipboard now. @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
    return true;
  } catch {
    return false;
  }
}

/** @param {Element | null} node */
function select(node) {
  if (!node) return;
  if (node instanceof HTMLInputElement || node instanceof HTMLTextAreaElement) node.select();
  else getSelection()?.selectAllChildren(node);
  toast(words.plainHttp);
}

/**
 * A button that copies a text, or what a function makes of it when it is wanted; `of` gives the element that holds the text, for the fallback.
 * @param {{text: string | (() => string), label?: string, of?: () => HTMLElement | null, small?: boolean, quiet?: boolean, words?: string}} props
 */
export function Copy({ text, label = "Copy", of, words: caption }) {
  const [done, setDone] = useState(false);
  const button = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const copy = async () => {
    if (await copyText(typeof text === "string" ? text : text())) {
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    } else select(of?.() ?? button.current?.previousElementSibling ?? null);
  };
  return html`
    <button ref=${button} type="button" class=${caption ? "button" : "icon-button small"} aria-label=${caption ? undefined : label} title=${caption ? undefined : label} onClick=${copy}>
      <${Icon} name=${done ? "check" : "copy"} />${caption && html`<span>${done ? "Copied" : caption}</span>`}
    </button>
  `;
}

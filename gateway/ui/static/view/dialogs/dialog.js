/**
 * Dialogs: native <dialog>, Esc cancels, Ctrl+Enter is the default button, focus goes in and comes back.
 */
import { html, signal, uid, useEffect, useMemo, useRef, useState } from "../../lib/dom.js";
import { Icon } from "../../lib/icons.js";
import { Problem } from "../banner.js";

/** @typedef {{component: any, props: any, resolve: (value: any) => void}} Entry */

/** @type {import("../../lib/dom.js").Signal<Entry[]>} */
const stack = signal(/** @type {Entry[]} */ ([]));

/** What is typed while a dialog is on its way belongs into its field, not to the list; null while none is. @type {string | null} */
let ahead = null;
addEventListener(
  "keydown",
  (event) => {
    if (ahead === null || event.key.length !== 1 || event.ctrlKey || event.metaKey || event.altKey) return;
    ahead += event.key;
    event.preventDefault();
    event.stopPropagation();
  },
  { capture: true },
);

/** Runs what will open a dialog once its module is here. @template T @param {() => Promise<T>} open @returns {Promise<T>} */
export async function expecting(open) {
  ahead = "";
  try {
    return await open();
  } finally {
    ahead = null;
  }
}

/** @param {Element | null} field */
function typeAhead(field) {
  const typed = ahead;
  ahead = null;
  if (!typed || !(field instanceof HTMLInputElement) || !/^(text|search)$/.test(field.type)) return;
  field.setRangeText(typed, field.selectionStart ?? 0, field.selectionEnd ?? 0, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Opens a dialog; answers what it was closed with, undefined when cancelled. @param {any} component @param {any} [props] @returns {Promise<any>} */
export function ask(component, props = {}) {
  return new Promise((resolve) => {
    stack.value = [...stack.peek(), { component, props, resolve }];
  });
}

/** @param {Entry} entry @param {any} [value] */
function close(entry, value) {
  stack.value = stack.peek().filter((other) => other !== entry);
  entry.resolve(value);
}

export const dialogOpen = () => stack.peek().length > 0;

export const Dialogs = () => html`${stack.value.map((entry, i) => html`<${entry.component} key=${i} ...${entry.props} done=${(/** @type {any} */ value) => close(entry, value)} />`)}`;

/**
 * The frame of a dialog: title, content, buttons. `submit` runs the work; a refusal is shown and the dialog stays.
 * @param {{title: any, children?: any, done: (value?: any) => void, submit?: () => any, action?: any, danger?: boolean, ready?: boolean, extra?: any, cancel?: string | null, wide?: boolean, sticky?: boolean, focusAction?: boolean}} props
 */
export function Dialog({ title, children, done, submit, action, danger = false, ready = true, extra, cancel = "Cancel", wide = false, sticky = false, focusAction = false }) {
  const node = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const name = useMemo(() => uid("dialog"), []);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState(/** @type {any} */ (null));

  useEffect(() => {
    const before = document.activeElement;
    const dialog = /** @type {HTMLDialogElement} */ (node.current);
    dialog.showModal();
    const ready = ".primary:not([disabled])";
    const first = dialog.querySelector("[data-autofocus]") ?? dialog.querySelector(focusAction ? ready : `input:not([type=hidden]), ${ready}`) ?? dialog.querySelector(".cancel");
    if (first instanceof HTMLElement) first.focus();
    // After the effects of the dialog itself, which select what typing replaces.
    queueMicrotask(() => typeAhead(first));
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);

  useEffect(() => {
    // Delete waits on Cancel until what goes is counted; the person may have moved on by then.
    if (focusAction && ready && document.activeElement?.matches(".dialog .cancel")) /** @type {HTMLElement | null} */ (node.current?.querySelector(".primary"))?.focus();
  }, [ready]);

  const confirm = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!ready || busy || !submit) return;
    setBusy(true);
    setFailure(null);
    try {
      const value = await submit();
      if (value !== false) done(value ?? true);
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };
  const keys = (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) confirm(event);
  };
  const cancelled = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!sticky) done();
  };
  return html`
    <dialog ref=${node} class=${wide ? "dialog wide" : "dialog"} aria-labelledby=${name} onCancel=${cancelled} onKeyDown=${keys}>
      <form method="dialog" onSubmit=${confirm}>
        <div class="dialog-head">
          <h2 id=${name}>${title}</h2>
          ${!sticky && html`<button type="button" class="icon-button" aria-label="Close" onClick=${() => done()}><${Icon} name="close" /></button>`}
        </div>
        <div class="content" tabindex="-1">${children}${failure && html`<${Problem} failure=${failure} />`}</div>
        <div class="dialog-foot">
          ${extra}<span class="grow"></span>
          ${cancel && html`<button type="button" class="button cancel" onClick=${() => done()}>${cancel}</button>`}
          ${submit && html`<button type="submit" class=${danger ? "button primary danger" : "button primary"} disabled=${!ready || busy}>${action}</button>`}
        </div>
      </form>
    </dialog>
  `;
}

/** Ctrl+K. */
export async function jump() {
  if (dialogOpen()) return;
  await expecting(async () => {
    const { Jump } = await import("./jump.js");
    await ask(Jump);
  });
}

/**
 * Menus: a list of actions that floats beside what opened it; arrows, letters, Esc.
 */
import { Fragment, html, signal, useLayoutEffect, useRef } from "../lib/dom.js";
import { Icon } from "../lib/icons.js";

/** @typedef {{label: string, icon?: string, hint?: string, keys?: string, run?: () => void, href?: string, disabled?: string, danger?: boolean, checked?: boolean, several?: boolean, rule?: boolean, content?: any, download?: boolean}} Item */
/** @typedef {{items: Item[], at: {left: number, top: number, right: number, bottom: number}, label: string, header?: any}} Open */

/** @type {import("../lib/dom.js").Signal<Open | null>} */
const open = signal(/** @type {Open | null} */ (null));
/** @type {HTMLElement | null} */
let opener = null;

/** Opens a menu at an element or a point. @param {Element | {x: number, y: number}} anchor @param {string} label @param {Item[]} items @param {any} [header] */
export function openMenu(anchor, label, items, header) {
  opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  const at = anchor instanceof Element ? anchor.getBoundingClientRect() : { left: anchor.x, right: anchor.x, top: anchor.y, bottom: anchor.y };
  open.value = { items, at, label, header };
}

export function closeMenu() {
  if (!open.peek()) return;
  open.value = null;
  opener?.focus({ preventScroll: true });
}

/** @param {HTMLElement} menu @param {Open["at"]} at */
function position(menu, at) {
  const { width, height } = menu.getBoundingClientRect();
  const gap = 4;
  const left = at.left + width > innerWidth - gap ? at.right - width : at.left;
  const below = at.bottom + gap;
  const top = below + height > innerHeight - gap ? Math.max(gap, Math.min(at.top - height - gap, innerHeight - height - gap)) : below;
  menu.style.left = `${Math.max(gap, left)}px`;
  menu.style.top = `${Math.max(gap, top)}px`;
}

export function Menu() {
  const node = useRef(/** @type {HTMLElement | null} */ (null));
  const state = open.value;
  useLayoutEffect(() => {
    const menu = node.current;
    if (!menu || !state) return;
    menu.showPopover();
    position(menu, state.at);
    /** @type {HTMLElement | null} */ (menu.querySelector('[role^="menuitem"]:not([aria-disabled="true"])'))?.focus();
  }, [state]);
  if (!state) return null;

  const move = (/** @type {KeyboardEvent} */ event) => {
    const items = /** @type {HTMLElement[]} */ ([...(node.current?.querySelectorAll('[role^="menuitem"]') ?? [])]);
    const here = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to !== undefined) items[(to + items.length) % items.length]?.focus();
    else if (event.key === "Escape" || event.key === "Tab") closeMenu();
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey) {
      const letter = event.key.toLowerCase();
      [...items.slice(here + 1), ...items].find((item) => item.textContent?.trim().toLowerCase().startsWith(letter))?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const run = (/** @type {Item} */ item) => () => {
    if (item.disabled) return;
    closeMenu();
    item.run?.();
  };
  return html`
    <div ref=${node} popover="auto" class="menu" onKeyDown=${move} onToggle=${(/** @type {any} */ event) => event.newState === "closed" && closeMenu()}>
      ${state.header}
      <div role="menu" aria-label=${state.label}>
        ${state.items.map(
          (item) => html`
            <${Fragment} key=${item.label}>
              ${item.rule && html`<hr role="separator" />`}
              <${item.href ? "a" : "button"}
                class=${item.danger ? "item danger-text" : "item"} role=${item.checked === undefined ? "menuitem" : item.several ? "menuitemcheckbox" : "menuitemradio"} tabindex="-1"
                aria-checked=${item.checked} aria-disabled=${item.disabled ? "true" : undefined} href=${item.href} onClick=${run(item)}
              >
                <${Icon} name=${item.checked ? "check" : (item.icon ?? "none")} />
                <span class="grow">${item.label}${item.disabled && html`<span class="reason">${item.disabled}</span>`}${item.hint && html`<span class="reason">${item.hint}</span>`}</span>
                ${item.keys && html`<kbd>${item.keys}</kbd>`}
              <//>
            <//>
          `,
        )}
      </div>
    </div>
  `;
}

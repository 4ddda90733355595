/**
 * One row of the list: checkbox, name, size, date, class, menu.
 */
import { cls, html } from "../lib/dom.js";
import { day, exact, iso, size } from "../lib/format.js";
import { Icon, iconFor } from "../lib/icons.js";
import { browse, link, object, place } from "../model/place.js";
import { may } from "../model/session.js";
import { focused, only, range, selected, subjects as subjectsOf, toggle } from "../model/selection.js";
import { base, display, extension, objectPath, unaddressable } from "../s3/names.js";
import { ACTIONS, carried, keyOf, open, refusal } from "./actions.js";
import { ROWS, dropTarget } from "./drop.js";
import { openMenu } from "./menu.js";

/** @typedef {import("../model/listing.js").Row} Row */

const LONG_PRESS = 500; // ms, as phones have it
/** @type {ReturnType<typeof setTimeout> | undefined} */
let pressing;
let pressed = false;

/** @param {Row} row @param {Element | {x: number, y: number}} anchor */
export function rowMenu(row, anchor) {
  const rows = selected.peek().has(row.name) && selected.peek().size > 1 ? subjectsOf() : [row];
  const items = ACTIONS.map((action) => ({
    label: action.label,
    icon: action.icon,
    keys: action.keys,
    danger: action.danger,
    rule: action.danger || action.id === "link",
    disabled: refusal(action, rows),
    run: () => action.run(rows),
  }));
  openMenu(anchor, `Actions for ${base(row.name)}`, row.folder ? [{ label: "Open", icon: "folder", run: () => open(row) }, ...items] : items);
}

/** @param {Row} row */
const handlers = (row) => ({
  onClick: (/** @type {MouseEvent} */ event) => {
    const target = /** @type {Element} */ (event.target);
    if (pressed) {
      pressed = false;
      event.preventDefault();
      return;
    }
    if (target.closest("button, .check")) return;
    const onLink = target.closest("a");
    focused.value = row.name;
    if (event.shiftKey) {
      event.preventDefault();
      range(row.name);
    } else if (event.ctrlKey || event.metaKey) {
      if (!onLink) toggle(row.name);
    } else if (matchMedia("(pointer: coarse)").matches && selected.peek().size) {
      event.preventDefault();
      toggle(row.name);
    } else if (!event.button) {
      event.preventDefault();
      open(row);
    }
  },
  onContextMenu: (/** @type {MouseEvent & {pointerType?: string}} */ event) => {
    event.preventDefault();
    if (event.pointerType === "touch") return;
    focused.value = row.name;
    if (!selected.peek().has(row.name) && selected.peek().size) only(row.name);
    rowMenu(row, event.detail === 0 && !event.clientX ? /** @type {Element} */ (event.currentTarget) : { x: event.clientX, y: event.clientY });
  },
  onPointerDown: (/** @type {PointerEvent} */ event) => {
    pressed = false;
    if (event.pointerType !== "touch") return;
    pressing = setTimeout(() => {
      pressed = true;
      navigator.vibrate?.(10);
      toggle(row.name);
    }, LONG_PRESS);
  },
  onPointerUp: () => clearTimeout(pressing),
  onPointerCancel: () => clearTimeout(pressing),
  onPointerMove: (/** @type {PointerEvent} */ event) => {
    if (Math.abs(event.movementX) + Math.abs(event.movementY) > 6) clearTimeout(pressing);
  },
  onDragStart: (/** @type {DragEvent} */ event) => {
    const rows = selected.peek().has(row.name) ? subjectsOf() : [row];
    event.dataTransfer?.setData(ROWS, carried(rows));
    if (event.dataTransfer) event.dataTransfer.effectAllowed = "copyMove";
  },
});

const THUMB_MOST = 4 * 1024 * 1024; // bytes: a picture that is worth its transfer as a tile
const THUMBS = /^(png|jpe?g|gif|webp|avif)$/;

/** @param {{row: Row, index: number, left: number, top: number, tiles: boolean, twin: boolean, first: boolean}} props */
export function RowView({ row, index, left, top, tiles, twin, first }) {
  const { name, folder } = row;
  const key = keyOf(row);
  const bare = folder ? name.slice(0, -1) : name;
  const isSelected = selected.value.has(name);
  const isFocused = focused.value === name || first;
  const isOpen = place.value.open === key;
  const { bucket } = place.value;
  const off = unaddressable(key);
  const target = folder ? { ...browse(bucket, key), sort: place.value.sort } : { ...object(bucket, key), sort: place.value.sort, filter: place.value.filter, starts: place.value.starts };
  const pictured = tiles && THUMBS.test(extension(name)) && row.size <= THUMB_MOST && row.size > 0 && !off && may("read", bucket, place.value.prefix);
  const drops = folder ? dropTarget(() => ({ bucket, prefix: key })) : {};
  return html`
    <div
      class=${cls("row", isSelected && "selected", isOpen && "open", folder && "folder")} role="row" aria-rowindex=${index + 2} aria-selected=${isSelected ? "true" : "false"}
      style=${{ transform: `translate(${left}px, ${top}px)` }} tabindex=${isFocused ? 0 : -1} data-name=${name} draggable="true"
      onFocus=${(/** @type {FocusEvent} */ event) => {
        if (event.target === event.currentTarget) focused.value = name;
      }}
      ...${handlers(row)} ...${drops}
    >
      <div class="cell check" role="gridcell" onClick=${(/** @type {MouseEvent} */ event) => (event.shiftKey ? range(name) : toggle(name))}>
        <input type="checkbox" tabindex="-1" checked=${isSelected} aria-label=${`Select ${display(bare)}`} onClick=${(/** @type {Event} */ event) => event.preventDefault()} />
      </div>
      <div class="cell name" role="rowheader">
        ${pictured ? html`<img class="thumb" src=${objectPath(bucket, key)} alt="" decoding="async" draggable="false" />` : html`<${Icon} name=${folder ? "folder" : iconFor(extension(name))} />`}
        ${off ? html`<bdi class="label" title="A browser cannot address this name">${display(bare)}${folder && "/"}</bdi><span class="badge warn">no address</span>` : html`<a class="label" tabindex="-1" href=${link(target).href} draggable="false"><bdi>${display(bare)}</bdi>${folder && "/"}</a>`}
        ${twin && html`<span class="badge warn">looks alike</span>`}
        <span class="second">${folder ? "" : `${size(row.size)} · ${day(row.modified)}`}</span>
      </div>
      <div class="cell size num" role="gridcell" title=${folder ? undefined : exact(row.size)}>${folder ? "–" : size(row.size)}</div>
      <div class="cell modified num" role="gridcell" title=${iso(row.modified)}>${folder ? "–" : day(row.modified)}</div>
      <div class="cell class" role="gridcell">${row.cls === "STANDARD" ? "" : row.cls}</div>
      <div class="cell actions" role="gridcell">
        <button class="icon-button small" tabindex="-1" aria-label=${`Actions for ${display(bare)}`} aria-haspopup="menu" onClick=${(/** @type {MouseEvent} */ event) => rowMenu(row, /** @type {Element} */ (event.currentTarget))}><${Icon} name="more" /></button>
      </div>
    </div>
  `;
}

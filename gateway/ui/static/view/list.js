/**
 * The list: an ARIA grid of which only the rows on screen are in the document.
 */
import { cls, html, style, useEffect, useLayoutEffect, useMemo, useRef, useSignal } from "../lib/dom.js";
import { typing, listWanted } from "../lib/focus.js";
import { Icon } from "../lib/icons.js";
import { current, positionOf, rowAt, visible } from "../model/listing.js";
import { adjust, kept, memory as remembered, place, save } from "../model/place.js";
import { COLUMNS, prefs } from "../model/prefs.js";
import { all, clear, focused, heirs, range, selected, toggle } from "../model/selection.js";
import { act, closePane, follow, newFolder, open, paste, pick, show, take, up } from "./actions.js";
import { dropTarget } from "./drop.js";
import { RowView, rowMenu } from "./row.js";
import { States } from "./states.js";

const OVERSCAN = 4; // rows above and below the window

/** Height of a row as the style sheet has it, in px. */
const rowHeight = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row")) || 36;

const SORTED = /** @type {const} */ ([
  ["name", "Name"],
  ["size", "Size"],
  ["modified", "Modified"],
]);

const TILE = { width: 168, height: 160 }; // px, with the space around it

/** Third click returns to key order. @param {string} column */
function nextSort(column) {
  const { sort } = place.peek();
  return sort === column ? `-${column}` : sort === `-${column}` ? "" : column;
}

/** @param {{column: string, label: string}} props */
function Header({ column, label }) {
  const { sort } = place.value;
  const state = sort === column ? "ascending" : sort === `-${column}` ? "descending" : "none";
  return html`
    <div class=${cls("cell", column, column !== "name" && "num")} role="columnheader" aria-sort=${state}>
      <button class="sort" tabindex="-1" onClick=${() => adjust({ sort: nextSort(column) }, { replace: true })}>
        ${label}${state !== "none" && html`<${Icon} name=${state === "ascending" ? "up" : "down"} />`}
      </button>
    </div>
  `;
}

/** Names that another name of the folder looks like (NFC and NFD twins). @param {readonly import("../model/listing.js").Row[]} rows @returns {Set<string>} */
function twinsOf(rows) {
  const seen = new Map();
  const twins = new Set();
  for (const { name } of rows) {
    if (/^[\u0020-\u007e]*$/.test(name)) continue;
    const form = name.normalize("NFC");
    if (seen.has(form)) twins.add(name).add(seen.get(form));
    else seen.set(form, name);
  }
  return twins;
}

/** Keys that act on the list. @param {KeyboardEvent} event @param {(delta: number, absolute?: boolean) => void} move @param {number} pageRows @param {number} across tiles beside each other; 1 in the list */
function onKey(event, move, pageRows, across) {
  if (typing(event.target) || event.altKey) return;
  const control = event.ctrlKey || event.metaKey;
  const before = focused.peek();
  const row = rowAt(positionOf(before));
  const step = { ArrowDown: across, ArrowUp: -across, PageDown: pageRows * across, PageUp: -pageRows * across, ...(across > 1 ? { ArrowRight: rightwards(), ArrowLeft: -rightwards() } : {}) }[event.key];
  if (step !== undefined && !control) {
    move(step);
    if (event.shiftKey) range(focused.peek(), before);
  } else if (event.key === "Home") {
    move(0, true);
    if (event.shiftKey) range(focused.peek(), before);
  } else if (event.key === "End") {
    move(Infinity, true);
    if (event.shiftKey) range(focused.peek(), before);
  } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") cells(event);
  else if (event.key === "Enter" && !control) {
    if (/** @type {Element} */ (event.target).closest("button")) return;
    if (row) open(row, { view: row.folder ? "" : "full" });
  } else if (event.key === " ") {
    if (control && row) toggle(row.name);
    else if (place.peek().open) closePane();
    else if (row) show(row);
  } else if (control && event.key.toLowerCase() === "a") all();
  else if (control && event.key.toLowerCase() === "c" && !getSelection()?.toString()) take("copy");
  else if (control && event.key.toLowerCase() === "x") take("move");
  else if (control && event.key.toLowerCase() === "v") {
    // Files in the clipboard come by the paste event.
    if (!paste()) return;
  } else if (event.key === "Escape") {
    if (selected.peek().size) clear();
    else if (place.peek().open) closePane();
    else return;
  } else if (event.key === "F2") act("rename");
  else if (event.key === "Delete") act("delete");
  else if (event.key === "Backspace") up();
  else if ((event.key === "F10" && event.shiftKey) || event.key === "ContextMenu") {
    const node = /** @type {Element} */ (event.target).closest(".row");
    if (row && node) rowMenu(row, node);
  } else if (!control && prefs.peek().letterKeys && LETTERS[event.key]) LETTERS[event.key]();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

/** Single letters act only here, while the list has the focus. @type {Record<string, () => unknown>} */
const LETTERS = {
  u: () => pick("files"),
  n: newFolder,
  d: () => act("download"),
  m: () => act("move"),
  c: () => act("copy"),
  s: () => act("share"),
  i: () => act("details"),
  z: () => act("zip"),
  r: () => current.peek()?.refresh({ all: true }),
};

/** One step to the right: forwards, or backwards where the page reads from the right. */
const rightwards = () => (document.dir === "rtl" ? -1 : 1);

/** Between the parts of a row. @param {KeyboardEvent} event */
function cells(event) {
  const row = /** @type {Element} */ (event.target).closest(".row");
  if (!row) return;
  const stops = [row, ...row.querySelectorAll("input, a.label, button")];
  const here = stops.indexOf(/** @type {Element} */ (event.target));
  const next = stops[here + (event.key === "ArrowRight" ? 1 : -1) * rightwards()];
  if (next instanceof HTMLElement) next.focus();
}

export function List() {
  const viewport = useRef(/** @type {HTMLElement | null} */ (null));
  const top = useSignal(0);
  const height = useSignal(600);
  const width = useSignal(800);
  const rowUnit = useSignal(rowHeight());
  const wantFocus = useRef(false);
  const { density, columns, view: layout } = prefs.value;
  const tiles = layout === "grid";
  const across = tiles ? Math.max(1, Math.floor(width.value / TILE.width)) : 1;
  const unit = tiles ? TILE.height : rowUnit.value;
  const lines = Math.ceil(visible.value.length / across);
  const restored = useRef(/** @type {any} */ (null));
  const listing = current.value;
  const order = visible.value;
  const version = listing?.version.value;
  const twins = useMemo(() => twinsOf(listing?.rows ?? []), [listing, version]);

  useLayoutEffect(() => {
    const node = /** @type {HTMLElement} */ (viewport.current);
    const measure = new ResizeObserver(() => {
      height.value = node.clientHeight;
      width.value = node.clientWidth;
    });
    measure.observe(node);
    return () => measure.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (tiles) style("tiles");
    rowUnit.value = rowHeight();
  }, [density, tiles, width.value]);

  // A place that is shown again stands where it was left.
  const { value: memory } = kept;
  useLayoutEffect(() => {
    restored.current = { listing, top: memory.top ?? 0 };
    focused.value = memory.focus ?? place.peek().open.slice(place.peek().prefix.length);
    top.value = 0;
    /** @type {HTMLElement} */ (viewport.current).scrollTop = 0;
  }, [listing, memory]);
  useLayoutEffect(() => {
    const wanted = restored.current;
    if (!wanted || wanted.listing !== listing || !order.length) return;
    const node = /** @type {HTMLElement} */ (viewport.current);
    if (wanted.top + node.clientHeight > lines * unit + 100 && !listing?.complete) return;
    restored.current = null;
    node.scrollTop = wanted.top;
    if (!document.activeElement || document.activeElement === document.body) wantFocus.current = true;
    focusWanted();
  });

  const focusWanted = () => {
    if (!wantFocus.current) return;
    const node = /** @type {HTMLElement} */ (viewport.current);
    const target = node.querySelector('.row[tabindex="0"]');
    if (!(target instanceof HTMLElement)) return;
    // The row that shall have the focus is drawn with the next pass.
    if (target.dataset.name !== focused.peek() && positionOf(focused.peek()) >= 0) return;
    wantFocus.current = false;
    target.focus({ preventScroll: true });
  };
  useLayoutEffect(focusWanted);
  useEffect(() => {
    if (!listWanted.value) return;
    wantFocus.current = true;
    focusWanted();
  }, [listWanted.value]);

  /** @param {number} index */
  const reveal = (index) => {
    const node = /** @type {HTMLElement} */ (viewport.current);
    const from = Math.floor(index / across) * unit;
    if (from < node.scrollTop) node.scrollTop = from;
    else if (from + unit > node.scrollTop + node.clientHeight - 8) node.scrollTop = from + unit - node.clientHeight + 8;
    top.value = node.scrollTop;
  };
  const move = (/** @type {number} */ delta, absolute = false) => {
    if (!visible.peek().length) return;
    const here = positionOf(focused.peek());
    const wanted = absolute ? delta : here < 0 ? 0 : here + delta;
    const index = Math.max(0, Math.min(visible.peek().length - 1, wanted));
    reveal(index);
    focused.value = rowAt(index)?.name ?? "";
    wantFocus.current = true;
    follow(rowAt(index));
  };

  useEffect(() => {
    remembered.facts = () => ({ top: top.peek(), focus: focused.peek() });
    return () => {
      remembered.facts = () => ({});
    };
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => save({ top: top.peek(), focus: focused.peek() }), 200);
    return () => clearTimeout(timer);
  }, [top.value, focused.value]);

  const { bucket, prefix } = place.value;
  const rows = listing?.rows ?? [];
  const overscan = tiles ? 1 : OVERSCAN;
  const first = Math.max(0, Math.floor(top.value / unit) - overscan) * across;
  const last = Math.min(order.length, (Math.ceil((top.value + height.value) / unit) + overscan) * across);
  /** @type {number[]} */
  const shown = [];
  for (let i = first; i < last; i += 1) shown.push(i);
  // The focused row stays in the document wherever it is, or the keyboard would lose its place.
  const keep = focused.value ? positionOf(focused.value) : -1;
  if (keep >= 0 && (keep < first || keep >= last)) shown.push(keep);
  // The focused row went, by a job or another tab: the row that took its place has the focus now.
  const stood = useRef({ listing, memory, at: -1 });
  useLayoutEffect(() => {
    const before = stood.current;
    const heir = heirs.get(focused.peek());
    if (heir && keep < 0 && before.listing === listing && positionOf(heir) < 0) return;
    stood.current = { listing, memory, at: keep };
    if (keep >= 0 || before.listing !== listing || before.memory !== memory || before.at < 0 || !order.length) return;
    heirs.delete(focused.peek());
    focused.value = heir ?? rowAt(Math.min(before.at, order.length - 1))?.name ?? "";
    if (document.activeElement === document.body) wantFocus.current = true;
  });
  const done = listing?.complete ?? false;
  const someSelected = selected.value.size > 0;
  const scroll = (/** @type {Event} */ event) => (top.value = /** @type {HTMLElement} */ (event.currentTarget).scrollTop);

  return html`
    <div class=${cls("list", someSelected && "selecting")} data-drop="Drop to put it here" onKeyDown=${(/** @type {KeyboardEvent} */ event) => onKey(event, move, Math.max(1, Math.floor(height.value / unit) - 1), across)} ...${dropTarget(() => (bucket ? { bucket, prefix } : null))}>
      ${listing && order.length > 0 && html`<${States} listing=${listing} empty=${false} />`}
      <div class=${cls("grid", tiles && "tiles", ...COLUMNS.map(([name]) => !columns.includes(name) && `hide-${name}`))} role="grid" aria-label=${`Contents of ${prefix || bucket}`} aria-multiselectable="true" aria-rowcount=${done ? rows.length + 1 : -1}>
        <div class="head" role="row" aria-rowindex="1">
          <div class="cell check" role="columnheader">
            <input type="checkbox" tabindex="-1" aria-label="Select all loaded" checked=${someSelected && selected.value.size >= order.length} onClick=${(/** @type {Event} */ event) => (event.preventDefault(), someSelected ? clear() : all())} />
          </div>
          ${SORTED.map(([column, label]) => html`<${Header} key=${column} column=${column} label=${label} />`)}
          <div class="cell class" role="columnheader">Class</div>
          <div class="cell actions" role="columnheader"><span class="hidden">Actions</span></div>
        </div>
        <div class="viewport" role="presentation" ref=${viewport} onScroll=${scroll}>
          <div class="rows" role="rowgroup" style=${{ height: `${lines * unit}px` }}>
            ${shown.map((i) => rows[order[i]] && html`<${RowView} key=${rows[order[i]].name} row=${rows[order[i]]} index=${i} left=${(i % across) * TILE.width * rightwards()} top=${Math.floor(i / across) * unit} tiles=${tiles} twin=${twins.has(rows[order[i]].name)} first=${i === shown[0] && keep < 0} />`)}
          </div>
          ${listing && order.length === 0 && html`<${States} listing=${listing} empty=${true} />`}
        </div>
      </div>
    </div>
  `;
}

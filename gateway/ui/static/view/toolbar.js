/**
 * The toolbar of a place; while something is selected, the bar of what can be done with it.
 */
import { html, useEffect, useLayoutEffect, useRef } from "../lib/dom.js";
import { say } from "../lib/announce.js";
import { count, plural, size } from "../lib/format.js";
import { Icon } from "../lib/icons.js";
import { current, visible } from "../model/listing.js";
import { adjust, place } from "../model/place.js";
import { COLUMNS, prefer, prefs } from "../model/prefs.js";
import { clear, selected, subjects, totals } from "../model/selection.js";
import { missing } from "../model/session.js";
import { BY_ID, ACTIONS, newFolder, pick, refusal } from "./actions.js";
import { openMenu } from "./menu.js";
import { Tool } from "./tool.js";
import { expecting, jump } from "./dialogs/dialog.js";

const camera = matchMedia("(pointer: coarse)");

/** @param {MouseEvent} event */
function uploadMenu(event) {
  const items = [
    { label: "Files", icon: "file", keys: "u", run: () => pick("files") },
    { label: "Folder", icon: "folder", run: () => pick("folder") },
  ];
  if (camera.matches) items.push({ label: "Camera", icon: "image", run: () => pick("camera") });
  openMenu(/** @type {Element} */ (event.currentTarget), "Upload", items);
}

const SORTS = [
  ["", "Key order"],
  ["name", "Name"],
  ["-name", "Name, last first"],
  ["-size", "Largest first"],
  ["size", "Smallest first"],
  ["-modified", "Newest first"],
  ["modified", "Oldest first"],
];

/** @param {MouseEvent} event */
function sortMenu(event) {
  const { sort } = place.peek();
  const items = SORTS.map(([value, label]) => ({ label, checked: value === sort, run: () => adjust({ sort: value }, { replace: true }) }));
  openMenu(/** @type {Element} */ (event.currentTarget), "Sort", items);
}

/** Says to which rows the sort applies. @param {import("../model/listing.js").Listing | null} listing */
function sortLabel(listing) {
  const { sort } = place.value;
  const label = SORTS.find(([value]) => value === sort)?.[1] ?? sort;
  listing?.version.value;
  if (!listing || listing.state.value === "done" || !listing.rows.length || !sort) return `Sort: ${label}`;
  return `${label} · of ${count(listing.rows.length)} loaded`;
}

/** @param {MouseEvent} event */
function moreMenu(event) {
  const { bucket, prefix } = place.peek();
  openMenu(/** @type {Element} */ (event.currentTarget), "More", [
    { label: "Jump to prefix…", icon: "search", keys: "Ctrl+K", run: () => jump() },
    { label: "Search below this folder…", icon: "search", run: () => expecting(() => import("./dialogs/search.js").then(({ search }) => search(""))), disabled: missing("list", bucket, prefix) },
    { label: "Download this folder as zip", icon: "zip", run: () => ACTIONS.find(({ id }) => id === "zip")?.run([{ name: "", folder: true, size: NaN, modified: NaN, cls: "" }]), disabled: missing("read", bucket, prefix) },
    { label: "Unfinished uploads…", icon: "upload", run: () => import("./dialogs/unfinished.js").then(({ unfinishedUploads }) => unfinishedUploads()), disabled: missing("list", bucket, prefix) },
    { label: "Deleted objects…", icon: "history", run: () => import("./dialogs/deleted.js").then(({ deletedObjects }) => deletedObjects()), disabled: missing("versions", bucket, prefix) },
    { label: "Tiles", icon: "grid", rule: true, several: true, checked: prefs.peek().view === "grid", run: toggleTiles },
    { label: "Compact rows", icon: "menu", several: true, checked: prefs.peek().density === "compact", run: () => prefer({ density: prefs.peek().density === "compact" ? "normal" : "compact" }) },
    ...COLUMNS.map(([name, label], i) => ({ label: `Column ${label}`, icon: "none", several: true, rule: i === 0, checked: prefs.peek().columns.includes(name), run: () => toggleColumn(name) })),
  ]);
}

const toggleTiles = () => prefer({ view: prefs.peek().view === "grid" ? "list" : "grid" });

/** @param {string} name */
function toggleColumn(name) {
  const { columns } = prefs.peek();
  prefer({ columns: columns.includes(name) ? columns.filter((other) => other !== name) : [...columns, name] });
}

function Filter() {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const { filter } = place.value;
  useLayoutEffect(() => {
    const focus = () => field.current?.focus();
    addEventListener("gateway:filter", focus);
    return () => removeEventListener("gateway:filter", focus);
  }, []);
  useEffect(() => {
    if (filter) say(`${plural(visible.peek().length, "name")} with ‘${filter}’`);
  }, [filter]);
  const keys = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") {
      adjust({ filter: "" }, { replace: true });
      import("../lib/focus.js").then(({ focusList }) => focusList());
    } else if (event.key === "ArrowDown" || event.key === "Enter") import("../lib/focus.js").then(({ focusList }) => focusList());
    else return;
    event.preventDefault();
  };
  return html`
    <label class="filter">
      <${Icon} name="search" /><span class="hidden">Filter loaded names</span>
      <input ref=${field} type="search" placeholder="Filter" value=${filter} spellcheck=${false} autocapitalize="off" onInput=${(/** @type {any} */ event) => adjust({ filter: event.target.value }, { replace: true })} onKeyDown=${keys} />
    </label>
  `;
}

function SelectionBar() {
  const { count: n, bytes, folders, hidden } = totals.value;
  const rows = subjects();
  useEffect(() => say(`${count(n)} selected, ${size(bytes)}`), [n]);
  const listing = current.value;
  const scope = listing && listing.state.value !== "done" && n === visible.value.length ? " (all loaded)" : "";
  const shown = ["download", "move", "copy", "rename", "share", "zip", "delete"].filter((id) => !(id === "zip" && !folders && n < 2));
  return html`
    <div class="toolbar selection" role="toolbar" aria-label="Selection">
      <span class="chosen"><strong>${count(n)} selected</strong>${scope}<span class="muted">${folders ? ` · ${plural(folders, "folder")}` : ""}${bytes ? ` · ${size(bytes)}` : ""}${hidden ? ` · ${count(hidden)} hidden by the filter` : ""}</span></span>
      <span class="tools">
        ${shown.map((id) => html`<${Tool} key=${id} icon=${BY_ID[id].icon} label=${BY_ID[id].label} why=${refusal(BY_ID[id], rows)} run=${() => BY_ID[id].run(subjects())} danger=${BY_ID[id].danger} compact=${true} />`)}
      </span>
      <button class="icon-button" aria-label="Clear the selection" onClick=${clear}><${Icon} name="close" /></button>
    </div>
  `;
}

export function Toolbar() {
  if (selected.value.size) return html`<${SelectionBar} />`;
  const { bucket, prefix } = place.value;
  const listing = current.value;
  const why = missing("write", bucket, prefix);
  const tiles = prefs.value.view === "grid";
  return html`
    <div class="toolbar" role="toolbar" aria-label="This place">
      <${Tool} icon="upload" label="Upload" why=${why} run=${uploadMenu} primary=${true} menu=${true} />
      <${Tool} icon="newfolder" label="Folder" why=${why} run=${newFolder} />
      <span class="grow"></span>
      <${Filter} />
      <button class="button sortby" aria-haspopup="menu" onClick=${sortMenu}><span>${sortLabel(listing)}</span><${Icon} name="down" /></button>
      <button class="icon-button tiles-toggle" aria-label="Tiles" aria-pressed=${tiles ? "true" : "false"} onClick=${toggleTiles}><${Icon} name=${tiles ? "menu" : "grid"} /></button>
      <button class="icon-button" aria-label="More" aria-haspopup="menu" onClick=${moreMenu}><${Icon} name="more" /></button>
      <button class="icon-button" aria-label="Refresh" aria-keyshortcuts="r" onClick=${() => listing?.refresh({ all: true })}><${Icon} name="refresh" /></button>
    </div>
  `;
}

/**
 * Everything that can be done with rows and places: one table for toolbar, selection bar, row menu and keys.
 */
import { text } from "../lib/text.js";
import { focusList } from "../lib/focus.js";
import { plural } from "../lib/format.js";
import { positionOf, rowAt, visible } from "../model/listing.js";
import { adjust, browse, go, place } from "../model/place.js";
import { prefer } from "../model/prefs.js";
import { focused, subjects } from "../model/selection.js";
import { missing } from "../model/session.js";
import { base, parent, unaddressable } from "../s3/names.js";
import { expecting } from "./dialogs/dialog.js";
import { toast } from "./toasts.js";

/** @typedef {import("../model/listing.js").Row} Row */
/** @typedef {{id: string, label: string, icon: string, keys?: string, verb?: import("../model/session.js").Verb, also?: import("../model/session.js").Verb, fits?: (rows: Row[]) => string, run: (rows: Row[]) => unknown, danger?: boolean}} Action */

/** What the actions do is loaded when the first one is done. @param {string} name @param {...any} given */
export async function work(name, ...given) {
  return expecting(async () => {
    const module = /** @type {Record<string, (...given: any[]) => any>} */ (await import("./work.js"));
    return module[name](...given);
  });
}

/** @param {Row} row */
export const keyOf = (row) => place.peek().prefix + row.name;
export const bucket = () => place.peek().bucket;
/** @param {Row[]} rows */
export const sourcesOf = (rows) => rows.map((row) => (row.folder ? { bucket: bucket(), prefix: keyOf(row) } : { bucket: bucket(), key: keyOf(row) }));
/** @param {Row[]} rows */
export const nameOf = (rows) => (rows.length === 1 ? base(rows[0].name) : plural(rows.length, "item"));

/** @param {Row[]} rows */
const one = (rows) => (rows.length === 1 ? "" : "Works with one item at a time.");
/** @param {Row[]} rows */
const oneFile = (rows) => (rows.length === 1 && !rows[0].folder ? addressable(rows) : "Works with one file at a time.");
/** @param {Row[]} rows */
const some = (rows) => (rows.length ? "" : "Select something first.");
/** @param {Row[]} rows */
const addressable = (rows) => (rows.some((row) => unaddressable(keyOf(row))) ? "A browser cannot address this name." : "");

/** @type {Action[]} */
export const ACTIONS = [
  { id: "download", label: "Download", icon: "download", keys: "d", verb: "read", fits: (rows) => some(rows) || addressable(rows), run: (rows) => work("download", rows) },
  { id: "share", label: "Share", icon: "share", keys: "s", verb: "read", fits: one, run: (rows) => work("share", rows) },
  { id: "move", label: "Move", icon: "move", keys: "m", verb: "read", also: "delete", fits: some, run: (rows) => work("transfer", rows, "move") },
  { id: "copy", label: "Copy to", icon: "copy", verb: "read", fits: some, run: (rows) => work("transfer", rows, "copy") },
  { id: "rename", label: "Rename", icon: "pencil", keys: "F2", verb: "write", also: "delete", fits: one, run: (rows) => work("rename", rows) },
  { id: "zip", label: "Download as zip", icon: "zip", keys: "z", verb: "read", fits: some, run: (rows) => work("zip", rows) },
  { id: "link", label: "Copy link", icon: "link", fits: one, run: (rows) => work("copyLink", rows) },
  { id: "uri", label: "Copy s3:// address", icon: "copy", fits: some, run: (rows) => work("copyUris", rows) },
  { id: "details", label: "Details", icon: "info", keys: "i", fits: one, run: ([row]) => show(row) },
  { id: "delete", label: "Delete", icon: "trash", keys: "Del", verb: "delete", fits: some, run: (rows) => work("remove", rows), danger: true },
];
export const BY_ID = Object.fromEntries(ACTIONS.map((action) => [action.id, action]));

/** Why an action cannot be done with these rows here; "" where it can. @param {Action} action @param {Row[]} rows */
export function refusal(action, rows) {
  const { bucket: name, prefix } = place.value;
  for (const verb of [action.verb, action.also]) {
    const words = verb ? missing(verb, name, prefix) : "";
    if (words) return words;
  }
  return action.fits?.(rows) ?? "";
}

/** Does it, where it can be done; else says why not. @param {string} id @param {Row[]} [rows] */
export function act(id, rows = subjects()) {
  const action = BY_ID[id];
  const words = refusal(action, rows);
  if (words) toast(words, { kind: rows.length ? "error" : "info" });
  else action.run(rows);
}

// Showing ---------------------------------------------------------------------------------------

/** Opens a folder, or the pane of a file. @param {Row} row @param {{view?: "" | "full", replace?: boolean}} [options] */
export function open(row, { view = "", replace = false } = {}) {
  if (row.folder) {
    // The gateway lists no prefix that a file system would climb by.
    if (unaddressable(keyOf(row))) toast(text.unaddressable);
    else go({ ...browse(bucket(), keyOf(row)), sort: place.peek().sort });
    return;
  }
  focused.value = row.name;
  prefer({ pane: true });
  adjust({ open: keyOf(row), view }, { replace });
}

/** @param {Row} row */
export const show = (row) => (row.folder ? toast("A folder has no details of its own.") : open(row));

export function closePane() {
  prefer({ pane: false });
  adjust({ open: "", view: "" });
  focusList();
}

/** The pane follows the focused row. @param {Row | undefined} row */
export function follow(row) {
  if (row && !row.folder && place.peek().open) adjust({ open: keyOf(row) }, { replace: true });
}

/** The next or previous file beside the open one. @param {1 | -1} direction */
export function neighbour(direction) {
  const name = place.peek().open.slice(place.peek().prefix.length);
  for (let i = positionOf(name) + direction; i >= 0 && i < visible.peek().length; i += direction) {
    const row = rowAt(i);
    if (row && !row.folder) {
      open(row, { view: place.peek().view, replace: true });
      return;
    }
  }
}

export function up() {
  const { bucket: name, prefix } = place.peek();
  if (!prefix) go({ ...place.peek(), page: "locations", bucket: "", open: "", filter: "", starts: "" });
  else go({ ...browse(name, parent(prefix)), sort: place.peek().sort }, { state: { focus: base(prefix) } });
}

/** @param {"files" | "folder" | "camera"} kind */
export const pick = (kind) => work("pick", kind);
export const newFolder = () => work("newFolder");

/** Items cut or copied within this page. @type {{value: {operation: "move" | "copy", sources: any[]} | null}} */
export const held = { value: null };

/** @param {"move" | "copy"} operation */
export function take(operation) {
  const rows = subjects();
  const words = refusal(BY_ID[operation], rows);
  if (words) {
    toast(words);
    return;
  }
  held.value = { operation, sources: sourcesOf(rows) };
  toast(`${nameOf(rows)} ${operation === "move" ? "cut" : "copied"}. Paste with Ctrl+V where it shall go.`);
}

/** Pastes what was cut or copied; false where nothing was. */
export function paste() {
  if (!held.value) return false;
  const { operation, sources } = held.value;
  if (operation === "move") held.value = null;
  work("bring", operation, sources, place.peek().bucket, place.peek().prefix);
  return true;
}

/** What a drag from the list carries. @param {Row[]} rows */
export const carried = (rows) => JSON.stringify(sourcesOf(rows));

/**
 * What the actions do: bytes out, jobs, deletes, new folders, pickers, addresses to copy.
 */
import { focusList } from "../lib/focus.js";
import { plural } from "../lib/format.js";
import * as jobs from "../model/jobs.js";
import { current, positionOf, rowAt, vanished, visible } from "../model/listing.js";
import { adjust, browse, go, href, object, place } from "../model/place.js";
import { clear, focused, heirs, selected } from "../model/selection.js";
import { missing } from "../model/session.js";
import * as s3 from "../s3/client.js";
import { base, objectPath, parent, s3uri, unaddressable } from "../s3/names.js";
import { send } from "../s3/send.js";
import { add } from "../upload/board.js";
import { fromFiles } from "../upload/sources.js";
import { bucket, keyOf, nameOf, sourcesOf } from "./actions.js";
import { copyText } from "./copy.js";
import { ask } from "./dialogs/dialog.js";
import { toast } from "./toasts.js";

/** @typedef {import("../model/listing.js").Row} Row */

// Bytes out ---------------------------------------------------------------------------------------

/** Lets the browser fetch a path as a file. @param {string} url @param {string} name */
function fetchAsFile(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

/** @param {Row[]} rows */
export async function download(rows) {
  if (rows.length > 1 || rows[0].folder) {
    await zip(rows);
    return;
  }
  await downloadKey(bucket(), keyOf(rows[0]));
}

/** Asks for the head first, so that a refusal is shown here and not in a file. @param {string} name @param {string} key @param {string} [version] */
export async function downloadKey(name, key, version) {
  try {
    await s3.head(name, key, { version });
  } catch (error) {
    refused(/** @type {any} */ (error), key);
    return;
  }
  fetchAsFile(objectPath(name, key) + (version ? `?versionId=${encodeURIComponent(version)}` : ""), base(key));
}

/** @param {import("../s3/send.js").Failure} failure @param {string} key */
export function refused(failure, key) {
  if (failure.status === 404) {
    vanished(bucket(), [key]);
    toast(`There is no ${base(key)} here any more.`, { kind: "error", action: { label: "Reload list", run: () => current.peek()?.refresh({ all: true }) } });
  } else if (failure.status === 403) toast(missing("read", bucket(), place.peek().prefix) || failure.message, { kind: "error" });
  else toast(failure.message, { kind: "error" });
}

const URL_MAX = 6000; // characters; proxies commonly refuse beyond 8 KiB

/** @param {Row[]} rows */
export async function zip(rows) {
  const { bucket: name, prefix } = place.peek();
  const path = `/api/archive${objectPath(name, prefix)}`;
  const whole = rows.length === 1 && rows[0].folder;
  let url = whole ? `/api/archive${objectPath(name, keyOf(rows[0]))}` : `${path}?${rows.map((row) => `name=${encodeURIComponent(row.name)}`).join("&")}`;
  try {
    if (url.length > URL_MAX) {
      const { body } = await send({ method: "POST", url: path, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ names: rows.map((row) => row.name) }), as: "json" });
      url = new URL(body.href, location.origin).origin === location.origin ? body.href : "";
    }
  } catch (error) {
    toast(/** @type {Error} */ (error).message, { kind: "error" });
    return;
  }
  fetchAsFile(url, "");
  toast(`The browser fetches ${nameOf(rows)} as a zip.`);
}

// Changing ----------------------------------------------------------------------------------------

/** @param {Row[]} rows */
export async function share(rows) {
  const { Share } = await import("./dialogs/share.js");
  await ask(Share, { bucket: bucket(), name: keyOf(rows[0]), folder: rows[0].folder });
}

/** @param {Row[]} rows @param {"move" | "copy"} operation */
export async function transfer(rows, operation) {
  const { Move } = await import("./dialogs/move.js");
  const target = await ask(Move, { rows, operation, bucket: bucket(), prefix: place.peek().prefix });
  if (target) await bring(operation, sourcesOf(rows), target.bucket, target.prefix, target.ifExists);
}

/**
 * Copies or moves sources below a prefix. Conflicts are asked for before anything starts.
 * @param {"move" | "copy"} operation @param {jobs.Source[]} sources @param {string} to @param {string} prefix
 * @param {"ask" | "replace" | "rename" | "skip"} ifExists
 */
export async function bring(operation, sources, to, prefix, ifExists = "ask") {
  const words = missing("write", to, prefix) || sources.map((source) => missing("read", source.bucket, parent(source.key ?? source.prefix ?? ""))).find(Boolean) || (operation === "move" ? sources.map((source) => missing("delete", source.bucket, parent(source.key ?? source.prefix ?? ""))).find(Boolean) : "");
  if (words) {
    toast(words, { kind: "error" });
    return;
  }
  const useful = sources.filter((source) => operation === "copy" || source.bucket !== to || parent(source.key ?? source.prefix ?? "") !== prefix);
  const nested = useful.find((source) => source.prefix && source.bucket === to && prefix.startsWith(source.prefix));
  if (nested) {
    toast(`“${base(nested.prefix ?? "")}” cannot go into itself.`, { kind: "error" });
    return;
  }
  const groups = await settle(useful, to, prefix, ifExists);
  if (!groups) return;
  const label = `${operation === "move" ? "Move" : "Copy"} ${sources.length === 1 ? base(sources[0].key ?? sources[0].prefix ?? "") : plural(sources.length, "item")} → ${to}/${prefix}`;
  try {
    for (const [how, list] of Object.entries(groups)) {
      if (list.length) await jobs.start({ operation, sources: list, destination: { bucket: to, prefix }, if_exists: /** @type {any} */ (how) }, label);
    }
    clear();
  } catch (error) {
    toast(/** @type {Error} */ (error).message, { kind: "error" });
  }
}

const LOOKED_AT = 200; // names; beyond it the job's own check decides

/**
 * Sources by what shall happen where their name is taken.
 * @param {jobs.Source[]} sources @param {string} to @param {string} prefix @param {"ask" | "replace" | "rename" | "skip"} ifExists
 */
async function settle(sources, to, prefix, ifExists) {
  /** @type {Record<string, jobs.Source[]>} */
  const groups = { fail: [], replace: [], rename: [], skip: [] };
  if (ifExists !== "ask") {
    groups[ifExists] = sources;
    return groups;
  }
  const taken = [];
  for (const source of sources.slice(0, LOOKED_AT)) {
    const there = await occupied(to, prefix + base(source.key ?? source.prefix ?? ""));
    if (there) taken.push({ source, there });
    else groups.fail.push(source);
  }
  groups.fail.push(...sources.slice(LOOKED_AT));
  if (!taken.length) return groups;
  const { Conflict } = await import("./dialogs/conflict.js");
  for (let i = 0; i < taken.length; i += 1) {
    const { source, there } = taken[i];
    const answer = await ask(Conflict, { name: base(source.key ?? source.prefix ?? ""), there, yours: null, others: taken.length - i - 1, folder: Boolean(source.prefix) });
    if (!answer) return null;
    const how = answer.choice === "keep" ? "rename" : answer.choice;
    const list = answer.forAll ? taken.slice(i).map((row) => row.source) : [source];
    if (how !== "skip") groups[how].push(...list);
    if (answer.forAll) break;
  }
  return groups;
}

/** What stands at a key or prefix; null where nothing does. @param {string} name @param {string} key */
async function occupied(name, key) {
  if (key.endsWith("/")) {
    const page = await s3.listPage(name, { prefix: key, size: 1 }).catch(() => null);
    return page && (page.keys.length || page.prefixes.length) ? { size: NaN, modified: "" } : null;
  }
  const reply = await s3.exists(name, key).catch(() => null);
  return reply ? { size: Number(reply.header("content-length")), modified: reply.header("last-modified") } : null;
}

/** @param {Row[]} rows */
export async function rename([row]) {
  const { Rename } = await import("./dialogs/rename.js");
  const { bucket: name, prefix } = place.peek();
  const answer = await ask(Rename, { row, taken: (/** @type {string} */ other) => current.peek()?.find(other) !== undefined });
  if (!answer) return;
  const target = prefix + answer + (row.folder ? "/" : "");
  try {
    const there = await occupied(name, target);
    let how = "fail";
    if (there) {
      const { Conflict } = await import("./dialogs/conflict.js");
      const decision = await ask(Conflict, { name: base(target), there, yours: null, others: 0, folder: row.folder });
      if (!decision || decision.choice === "skip") return;
      how = decision.choice === "keep" ? "rename" : "replace";
    }
    const [source] = sourcesOf([row]);
    const destination = row.folder ? { bucket: name, prefix: target } : { bucket: name, key: target };
    heirs.set(row.name, target.slice(prefix.length));
    await jobs.start({ operation: "rename", sources: [source], destination, if_exists: /** @type {any} */ (how) }, `Rename ${base(row.name)} → ${base(target)}`);
  } catch (error) {
    toast(/** @type {Error} */ (error).message, { kind: "error" });
  }
}

/** @param {Row[]} rows */
export async function remove(rows) {
  const { Delete } = await import("./dialogs/delete.js");
  await ask(Delete, { rows, bucket: bucket(), prefix: place.peek().prefix, run: () => erase(rows) });
}

/** One object by DELETE, several by one request, prefixes by a job. @param {Row[]} rows */
async function erase(rows) {
  const { bucket: name, prefix } = place.peek();
  const next = afterwards(rows);
  const files = rows.filter((row) => !row.folder && !unaddressable(keyOf(row)));
  const byJob = rows.filter((row) => row.folder || unaddressable(keyOf(row)));
  if (files.length === 1 && !byJob.length) {
    await s3.remove(name, keyOf(files[0]));
    gone(name, files.map(keyOf));
  } else if (files.length && !byJob.length) {
    const failed = await s3.removeMany(name, files.map(keyOf));
    const kept = new Set(failed.map(({ key }) => key));
    gone(name, files.map(keyOf).filter((key) => !kept.has(key)));
    if (failed.length) {
      const { Failed } = await import("./dialogs/failed.js");
      await ask(Failed, { title: `${plural(failed.length, "object")} could not be deleted`, failed });
    }
  } else await jobs.start({ operation: "delete", sources: sourcesOf(rows) }, `Delete ${nameOf(rows)} in ${name}/${prefix}`);
  focused.value = next;
  focusList();
}

/** The row that gets the focus when others have gone. @param {Row[]} rows */
function afterwards(rows) {
  const names = new Set(rows.map((row) => row.name));
  const first = Math.min(...rows.map((row) => positionOf(row.name)).filter((i) => i >= 0));
  for (let i = first; i < visible.peek().length; i += 1) {
    const row = rowAt(i);
    if (row && !names.has(row.name)) return row.name;
  }
  return rowAt(first - 1)?.name ?? "";
}

/** @param {string} name @param {string[]} keys */
export function gone(name, keys) {
  vanished(name, keys);
  selected.value = new Set([...selected.peek()].filter((row) => !keys.includes(place.peek().prefix + row)));
  if (keys.includes(place.peek().open)) adjust({ open: "", view: "" }, { replace: true });
  toast(keys.length === 1 ? `Deleted ${base(keys[0])}.` : `Deleted ${plural(keys.length, "object")}.`, { kind: "ok" });
}

export async function newFolder() {
  const { bucket: name, prefix } = place.peek();
  const words = missing("write", name, prefix);
  if (words) {
    toast(words, { kind: "error" });
    return;
  }
  const { Folder } = await import("./dialogs/folder.js");
  const created = await ask(Folder, { bucket: name, prefix });
  if (created) go(browse(name, created));
}

/** @param {"files" | "folder" | "camera"} kind */
export function pick(kind) {
  const { bucket: name, prefix } = place.peek();
  const words = missing("write", name, prefix);
  if (words) {
    toast(words, { kind: "error" });
    return;
  }
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = kind !== "camera";
  if (kind === "folder") input.webkitdirectory = true;
  if (kind === "camera") {
    input.accept = "image/*,video/*";
    input.capture = "environment";
  }
  input.className = "picker";
  input.addEventListener("change", () => {
    add(name, prefix, fromFiles(/** @type {FileList} */ (input.files)));
    input.remove();
  });
  input.addEventListener("cancel", () => input.remove());
  document.body.append(input);
  input.click();
}

// Clipboard ---------------------------------------------------------------------------------------

/** @param {Row[]} rows */
export async function copyLink([row]) {
  const target = row.folder ? browse(bucket(), keyOf(row)) : object(bucket(), keyOf(row));
  const url = location.origin + href(target);
  toast((await copyText(url)) ? "Link copied. It works for people who may read this." : url);
}

/** @param {Row[]} rows */
export async function copyUris(rows) {
  const uris = rows.map((row) => s3uri(bucket(), keyOf(row))).join("\n");
  toast((await copyText(uris)) ? "Copied." : uris);
}

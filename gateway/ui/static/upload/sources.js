/**
 * Drops, pickers and pastes as lazy streams of {path, file}: the first file is given before the last name is read.
 */

/** @typedef {{path: string, file: File}} Source */

const LEFT_OUT = new Set([".DS_Store", "Thumbs.db", "desktop.ini"]);

/** Made by the system, not by the person. @param {string} path */
export const leftOut = (path) => LEFT_OUT.has(path.slice(path.lastIndexOf("/") + 1));

/** Files of an <input>; folders come with their relative path. @param {Iterable<File>} files @returns {AsyncGenerator<Source>} */
export async function* fromFiles(files) {
  for (const file of files) yield { path: file.webkitRelativePath || file.name, file };
}

/**
 * Entries of a drop or paste. The items are emptied when the event ends, so they are taken at once, then read at leisure.
 * @param {DataTransfer} transfer @returns {AsyncGenerator<Source>}
 */
export function fromTransfer(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  return walk(entries);
}

/** @param {(FileSystemEntry | File | null)[]} entries @returns {AsyncGenerator<Source>} */
async function* walk(entries) {
  for (const entry of entries) {
    if (!entry) continue;
    if (entry instanceof File) yield { path: entry.name, file: entry };
    else if (entry.isFile) yield { path: entry.fullPath.replace(/^\//, ""), file: await fileOf(/** @type {FileSystemFileEntry} */ (entry)) };
    else yield* walkFolder(/** @type {FileSystemDirectoryEntry} */ (entry));
  }
}

/** @param {FileSystemDirectoryEntry} folder @returns {AsyncGenerator<Source>} */
async function* walkFolder(folder) {
  const reader = folder.createReader();
  for (;;) {
    // A reader gives about 100 entries a time, and none at the end.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    yield* walk(entries);
  }
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** @type {Record<string, string>} */
const TYPES = {
  md: "text/markdown", csv: "text/csv", tsv: "text/tab-separated-values", json: "application/json", yaml: "application/yaml", yml: "application/yaml",
  txt: "text/plain", log: "text/plain", parquet: "application/vnd.apache.parquet", gz: "application/gzip", py: "text/x-python", sql: "application/sql",
};

/** Media type of a file: the browser's, else by extension. @param {File} file */
export function typeOf(file) {
  const ext = file.name.slice(file.name.lastIndexOf(".") + 1).toLowerCase();
  return file.type || TYPES[ext] || "application/octet-stream";
}

const SAMPLE = 65_536;

/** What tells a file from another of the same size: SHA-256 of its ends where the browser has it, else its date. @param {File} file */
export async function fingerprint(file) {
  if (!globalThis.crypto?.subtle) return `date:${file.lastModified}`;
  const ends = await Promise.all([file.slice(0, SAMPLE).arrayBuffer(), file.slice(Math.max(0, file.size - SAMPLE)).arrayBuffer()]);
  const joined = new Uint8Array(ends[0].byteLength + ends[1].byteLength);
  joined.set(new Uint8Array(ends[0]));
  joined.set(new Uint8Array(ends[1]), ends[0].byteLength);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", joined));
  return `sha256:${Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

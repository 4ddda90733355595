/**
 * Drops, pickers and pastes as lazy streams of {path, file}: the first file is given before the last name is read.
 */

/** @typedef {{path: string, file: File, handle?: FileSystemFileHandle | null}} Source */

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
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const handles = items.map(handleOf);
  return walk(items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()), handles);
}

/** What brings a dropped file back after a reload, where the browser gives it (UI-56). @param {DataTransferItem} item @returns {Promise<FileSystemFileHandle | null>} */
async function handleOf(item) {
  const handle = await /** @type {any} */ (item).getAsFileSystemHandle?.().catch(() => null);
  return handle?.kind === "file" ? handle : null;
}

/** @param {(FileSystemEntry | File | null)[]} entries @param {Promise<FileSystemFileHandle | null>[]} [handles] of the same order @returns {AsyncGenerator<Source>} */
async function* walk(entries, handles = []) {
  for (const [i, entry] of entries.entries()) {
    if (!entry) continue;
    const handle = await handles[i];
    if (entry instanceof File) yield { path: entry.name, file: entry, handle };
    else if (entry.isFile) yield { path: entry.fullPath.replace(/^\//, ""), file: await fileOf(/** @type {FileSystemFileEntry} */ (entry)), handle };
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

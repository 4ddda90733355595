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

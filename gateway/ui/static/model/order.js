/**
 * Sort and filter: rows to the indices that are shown, in order. Pure; over 10 000 rows the sort
 * runs in order.worker.js, which imports `sorted` from here.
 */

/** @typedef {import("./listing.js").Row} Row */
/** @typedef {{names: string[], folders: boolean[], values: number[] | null}} Columns */

const collator = new Intl.Collator(undefined, { numeric: true });

/** Indices of rows whose name holds the text. @param {readonly Row[]} rows @param {string} text @returns {Uint32Array} */
export function filtered(rows, text) {
  const found = new Uint32Array(rows.length);
  const wanted = text.toLowerCase();
  let n = 0;
  for (let i = 0; i < rows.length; i += 1) {
    if (!wanted || rows[i].name.toLowerCase().includes(wanted)) found[n++] = i;
  }
  return found.subarray(0, n);
}

/**
 * Indices in order. Folders stand first in every sort; ties keep key order, which is the order of the rows.
 * @param {Uint32Array} indices @param {Columns} columns @param {string} sort "name", "-size" …
 */
export function sorted(indices, columns, sort) {
  const down = sort.startsWith("-") ? -1 : 1;
  const { names, folders, values } = columns;
  /** @type {(a: number, b: number) => number} */
  const by = values ? (a, b) => values[a] - values[b] : (a, b) => collator.compare(names[a], names[b]);
  return indices.slice().sort((a, b) => {
    if (folders[a] !== folders[b]) return folders[a] ? -1 : 1;
    // A folder has neither size nor date: among themselves they keep key order then.
    const order = folders[a] && values ? 0 : by(a, b) * down;
    return order || a - b;
  });
}

/** Folders first, each kind in key order: for listings of one page. @param {readonly Row[]} rows @param {Uint32Array} indices */
export function foldersFirst(rows, indices) {
  const folders = indices.filter((i) => rows[i].folder);
  const files = indices.filter((i) => !rows[i].folder);
  const all = new Uint32Array(indices.length);
  all.set(folders);
  all.set(files, folders.length);
  return all;
}

/** The columns that a sort looks at. @param {readonly Row[]} rows @param {string} sort @returns {Columns} */
export function columns(rows, sort) {
  const member = sort.replace("-", "");
  return {
    names: rows.map((row) => row.name),
    folders: rows.map((row) => row.folder),
    values: member === "size" ? rows.map((row) => row.size) : member === "modified" ? rows.map((row) => row.modified) : null,
  };
}

export const WORKER_ABOVE = 10_000; // rows; below it a sort takes less than a frame or two

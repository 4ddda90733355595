/**
 * IndexedDB: unfinished uploads and running jobs, each row under its owner (issuer and subject).
 *
 * Holds names and sizes only, never a secret. Where the browser closes its storage everything
 * works until the page is left.
 */

/** @typedef {"uploads" | "jobs"} Table */

/** @type {Promise<IDBDatabase | null> | undefined} */
let opening;

function database() {
  opening ??= new Promise((resolve) => {
    let request;
    try {
      request = indexedDB.open("gateway", 1);
    } catch {
      resolve(null);
      return;
    }
    request.onupgradeneeded = () => {
      for (const name of ["uploads", "jobs"]) {
        request.result.createObjectStore(name, { keyPath: "id" }).createIndex("owner", "owner");
      }
    };
    request.onsuccess = () => {
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => resolve(null);
    request.onblocked = () => resolve(null);
  });
  return opening;
}

/**
 * @param {Table} table @param {IDBTransactionMode} mode
 * @param {(rows: IDBObjectStore) => IDBRequest} work
 * @returns {Promise<any>} undefined where there is no storage
 */
async function within(table, mode, work) {
  const db = await database();
  if (!db) return undefined;
  return new Promise((resolve, reject) => {
    const request = work(db.transaction(table, mode).objectStore(table));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param {Table} table @param {{id: string, owner: string, [name: string]: unknown}} row */
export const keep = (table, row) => within(table, "readwrite", (rows) => rows.put(row));
/** @param {Table} table @param {string} id */
export const forget = (table, id) => within(table, "readwrite", (rows) => rows.delete(id));
/** @param {Table} table @param {string} owner @returns {Promise<any[]>} */
export const kept = async (table, owner) => (await within(table, "readonly", (rows) => rows.index("owner").getAll(owner))) ?? [];

/** Forgets everything of one owner. @param {string} owner */
export async function forgetOwner(owner) {
  for (const table of /** @type {Table[]} */ (["uploads", "jobs"])) {
    for (const row of await kept(table, owner)) await forget(table, row.id);
  }
}

/**
 * What a file is: its media type, and what tells it from another of the same size.
 */

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

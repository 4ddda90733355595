/**
 * Checksums of what is sent: SHA-256 of each body, verified by the storage, compared with what it
 * says of the object. Only where the browser has crypto.subtle, which is on https and on loopback.
 */

const HEADER = "x-amz-checksum-sha256";

/** @typedef {import("../s3/send.js").Reply} Reply */
/** @typedef {import("./queue.js").Upload} Upload */

/** What an upload in parts is begun with, so that its parts may bring checksums. @param {Upload} upload @returns {Record<string, string>} */
export const announced = (upload) => (upload.checked ? { "x-amz-checksum-algorithm": "SHA256" } : {});

/** @param {ArrayBuffer | Uint8Array<ArrayBuffer>} bytes */
async function sha256(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))));
}

/** The header of one body. @param {Upload} upload @param {Blob} body @returns {Promise<Record<string, string>>} */
export const summed = async (upload, body) => (upload.checked ? { [HEADER]: await sha256(await body.arrayBuffer()) } : {});

/** The storage has other bytes than were sent: a fault, which is tried again. */
class Differs extends Error {
  transient = true;
  code = "BadDigest";
  retryAfter = 0;
}

/** Compares what the storage says of a body; silence is no answer. @param {Reply} reply @param {Record<string, string>} sent */
export function compare(reply, sent) {
  const said = reply.header(HEADER);
  if (said && sent[HEADER] && said !== sent[HEADER]) throw new Differs("The storage received other bytes than were sent.");
}

/** Compares the checksum of an object with those of its parts: the hash of their hashes, and their number. @param {string} said @param {{sha256: string}[]} parts */
export async function compareWhole(said, parts) {
  if (!said.includes("-") || parts.some((part) => !part.sha256)) return;
  const joined = Uint8Array.from(parts.map((part) => atob(part.sha256)).join(""), (char) => char.charCodeAt(0));
  if (said !== `${await sha256(joined)}-${parts.length}`) throw new Error("The storage made another object of the parts that were sent.");
}

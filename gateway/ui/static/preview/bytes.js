/**
 * The beginning of an object as bytes, and bytes as text.
 */
import { objectPath } from "../s3/names.js";
import { getRange } from "../s3/client.js";
import { stream } from "../s3/send.js";

export const STEP = 1024 * 1024;
export const MOST = 8 * STEP; // bytes shown; beyond it Download is the better way

/**
 * At most `limit` bytes. Ranges of a compressed stream cannot be decoded, so an object with a
 * content encoding, or a .gz, is read from its start and stopped at the limit.
 * @param {{bucket: string, name: string, head: import("../view/pane.js").Head}} object @param {number} limit @param {AbortSignal} signal
 * @returns {Promise<{bytes: Uint8Array, whole: boolean}>}
 */
export async function begin({ bucket, name, head }, limit, signal) {
  const zipped = /\.gz$/i.test(name);
  if (!head.encoding && !zipped) {
    const { body } = await getRange(bucket, name, 0, Math.min(limit, head.size) - 1, { signal });
    return { bytes: new Uint8Array(body), whole: head.size <= limit };
  }
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort(), { once: true });
  const response = await stream(objectPath(bucket, name), { signal: stop.signal });
  let body = /** @type {ReadableStream<Uint8Array>} */ (response.body);
  if (zipped && !response.headers.get("content-encoding")) body = body.pipeThrough(/** @type {any} */ (new DecompressionStream("gzip")));
  const reader = body.getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { bytes: joined(parts, length), whole: true };
    parts.push(value);
    length += value.length;
    if (length >= limit) break;
  }
  stop.abort();
  return { bytes: joined(parts, limit), whole: false };
}

/** @param {Uint8Array[]} parts @param {number} length */
function joined(parts, length) {
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part.subarray(0, Math.min(part.length, length - at)), at);
    at += part.length;
    if (at >= length) break;
  }
  return all;
}

/** Text of bytes: UTF-16 by its mark, UTF-8, else Latin-1, named. Null where the bytes are no text. @param {Uint8Array} bytes @param {boolean} whole @returns {{text: string, charset: string} | null} */
export function decode(bytes, whole) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return { text: new TextDecoder("utf-16le").decode(bytes), charset: "UTF-16" };
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return { text: new TextDecoder("utf-16be").decode(bytes), charset: "UTF-16" };
  if (bytes.includes(0)) return null;
  try {
    // The last character may be cut in two; `stream` leaves it out.
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: !whole }), charset: "UTF-8" };
  } catch {
    return { text: new TextDecoder("windows-1252").decode(bytes), charset: "Latin-1" };
  }
}

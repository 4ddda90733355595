/**
 * The S3 operations that the page uses, one function each. Paths of this host, the session cookie, no signature.
 */
import { JSON_ANSWER, PAGE, answer, bucketUrl, many, query } from "./list.js";
import { objectPath } from "./names.js";
import { send } from "./send.js";

export * from "./list.js";

/** @typedef {import("./send.js").Reply} Reply */

/** @param {string} bucket @param {string} key @param {Record<string, string | number | undefined>} [pairs] */
const objectUrl = (bucket, key, pairs = {}) => {
  const text = query(pairs);
  return objectPath(bucket, key) + (text ? `?${text}` : "");
};

/** A parameter without a value, written `?uploads`. */
const BARE = "";

/** @param {string} bucket @param {string} key @param {{version?: string, signal?: AbortSignal, quiet?: boolean}} [options] */
export const head = (bucket, key, { version, signal, quiet } = {}) => send({ method: "HEAD", url: objectUrl(bucket, key, { versionId: version }), signal, quiet });

/** Whether the key exists; null where reading is not allowed. @param {string} bucket @param {string} key @param {AbortSignal} [signal] @returns {Promise<Reply | false | null>} */
export async function exists(bucket, key, signal) {
  try {
    return await head(bucket, key, { signal, quiet: true });
  } catch (error) {
    const status = /** @type {any} */ (error).status;
    if (status === 404) return false;
    if (status === 403) return null;
    throw error;
  }
}

/** Bytes `from` to `to` inclusive. @param {string} bucket @param {string} key @param {number} from @param {number} to @param {{version?: string, signal?: AbortSignal}} [options] */
export const getRange = (bucket, key, from, to, { version, signal } = {}) =>
  send({ url: objectUrl(bucket, key, { versionId: version }), headers: { Range: `bytes=${from}-${to}` }, as: "arraybuffer", signal });

/** @param {string} bucket @param {string} key @param {Blob | string} body @param {{headers?: Record<string, string>, signal?: AbortSignal, progress?: (sent: number) => void}} [options] */
export const put = (bucket, key, body, { headers, signal, progress } = {}) =>
  send({ method: "PUT", url: objectUrl(bucket, key), headers, body, signal, progress });

/** @param {string} bucket @param {string} prefix ends in a slash */
export const makeFolder = (bucket, prefix) => put(bucket, prefix, "", { headers: { "Content-Type": "application/x-directory" } });

/** @param {string} bucket @param {string} key @param {Record<string, string>} headers @param {AbortSignal} [signal] @returns {Promise<string>} the upload id */
export async function createUpload(bucket, key, headers, signal) {
  const { body } = await send({ method: "POST", url: objectUrl(bucket, key, { uploads: BARE }), headers, as: "document", signal });
  return text(body, "UploadId");
}

/** @param {string} bucket @param {string} key @param {string} uploadId @param {number} number @param {Blob} body @param {{signal?: AbortSignal, progress?: (sent: number) => void, headers?: Record<string, string>}} options */
export async function putPart(bucket, key, uploadId, number, body, options) {
  return send({ method: "PUT", url: objectUrl(bucket, key, { partNumber: number, uploadId }), body, ...options });
}

/** @param {string} bucket @param {string} key @param {string} uploadId @param {AbortSignal} [signal] @returns {Promise<{number: number, size: number, etag: string, sha256: string}[]>} */
export async function listParts(bucket, key, uploadId, signal) {
  const parts = [];
  let marker;
  do {
    const { body } = await send({ url: objectUrl(bucket, key, { uploadId, "part-number-marker": marker }), headers: JSON_ANSWER, as: "json", signal });
    const result = answer(body);
    for (const part of many(result.Parts ?? result.Part)) parts.push({ number: Number(part.PartNumber), size: Number(part.Size), etag: part.ETag, sha256: part.ChecksumSHA256 ?? "" });
    marker = String(result.IsTruncated) === "true" ? result.NextPartNumberMarker : undefined;
  } while (marker);
  return parts;
}

/** @param {string} bucket @param {string} key @param {string} uploadId @param {{number: number, etag: string, sha256: string}[]} parts @param {{headers?: Record<string, string>, signal?: AbortSignal}} options @returns {Promise<string>} the checksum that the storage gives the object, "" where it gives none */
export async function complete(bucket, key, uploadId, parts, { headers, signal }) {
  const rows = parts.map(({ number, etag, sha256 }) => element("Part", element("PartNumber", String(number)), element("ETag", escape(etag)), sha256 && element("ChecksumSHA256", escape(sha256))));
  const body = element("CompleteMultipartUpload", ...rows);
  const reply = await send({ method: "POST", url: objectUrl(bucket, key, { uploadId }), headers: { "Content-Type": "application/xml", ...headers }, body, as: "document", signal });
  return text(reply.body, "ChecksumSHA256");
}

/** @param {string} bucket @param {string} key @param {string} uploadId */
export const abortUpload = (bucket, key, uploadId) => send({ method: "DELETE", url: objectUrl(bucket, key, { uploadId }), quiet: true });

/** Multipart uploads that were begun and not ended. @param {string} bucket @param {string} prefix @returns {Promise<{key: string, uploadId: string, initiated: string}[]>} */
export async function uploads(bucket, prefix) {
  const { body } = await send({ url: bucketUrl(bucket, { uploads: BARE, prefix }), headers: JSON_ANSWER, as: "json" });
  const result = answer(body);
  return many(result.Uploads ?? result.Upload).map((row) => ({ key: row.Key, uploadId: row.UploadId, initiated: row.Initiated }));
}

/** @param {string} bucket @param {string} key @param {string} [version] */
export const remove = (bucket, key, version) => send({ method: "DELETE", url: objectUrl(bucket, key, { versionId: version }) });

// What XML 1.0 cannot hold, even as a reference.
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

/**
 * Deletes many objects; the answer lists those that failed.
 * @param {string} bucket @param {string[]} keys
 * @returns {Promise<{key: string, code: string, message: string}[]>}
 */
export async function removeMany(bucket, keys) {
  const failed = [];
  const alone = keys.filter((key) => NOT_XML.test(key));
  const together = keys.filter((key) => !NOT_XML.test(key));
  for (let i = 0; i < together.length; i += PAGE) {
    failed.push(...(await removeBatch(bucket, together.slice(i, i + PAGE))));
  }
  for (const key of alone) {
    try {
      await remove(bucket, key);
    } catch (error) {
      const { code, message } = /** @type {import("./send.js").Failure} */ (error);
      failed.push({ key, code, message });
    }
  }
  return failed;
}

/** @param {string} bucket @param {string[]} keys */
async function removeBatch(bucket, keys) {
  const rows = keys.map((key) => element("Object", element("Key", escape(key))));
  const body = new TextEncoder().encode(element("Delete", element("Quiet", "true"), ...rows));
  const { body: document } = await send({
    method: "POST",
    url: bucketUrl(bucket, { delete: BARE }),
    headers: { "Content-Type": "application/xml", "x-amz-checksum-crc32": crc32(body), "x-amz-sdk-checksum-algorithm": "CRC32" },
    body,
    as: "document",
  });
  return [...(document?.getElementsByTagName("Error") ?? [])].map((row) => ({ key: text(row, "Key"), code: text(row, "Code"), message: text(row, "Message") }));
}

/** @param {string} bucket @param {string} key @param {string} [version] @returns {Promise<[string, string][]>} */
export async function tags(bucket, key, version) {
  const { body } = await send({ url: objectUrl(bucket, key, { tagging: BARE, versionId: version }), as: "document", quiet: true });
  return [...(body?.getElementsByTagName("Tag") ?? [])].map((tag) => [text(tag, "Key"), text(tag, "Value")]);
}

/** @param {string} bucket @param {string} key @param {[string, string][]} pairs */
export function putTags(bucket, key, pairs) {
  const rows = pairs.map(([name, value]) => element("Tag", element("Key", escape(name)), element("Value", escape(value))));
  const body = new TextEncoder().encode(element("Tagging", element("TagSet", ...rows)));
  return send({
    method: "PUT",
    url: objectUrl(bucket, key, { tagging: BARE }),
    headers: { "Content-Type": "application/xml", "x-amz-checksum-crc32": crc32(body), "x-amz-sdk-checksum-algorithm": "CRC32" },
    body,
  });
}

/** @typedef {{key: string, version: string, latest: boolean, marker: boolean, size: number, modified: string, etag: string}} Version */

/** Versions and delete markers of keys that begin with a prefix. @param {string} bucket @param {string} prefix @param {{delimiter?: string, signal?: AbortSignal}} [options] @returns {Promise<Version[]>} */
export async function versions(bucket, prefix, { delimiter, signal } = {}) {
  const { body } = await send({ url: bucketUrl(bucket, { versions: BARE, prefix, delimiter }), headers: JSON_ANSWER, as: "json", signal, quiet: true });
  const result = answer(body);
  const row = (/** @type {boolean} */ marker) => (/** @type {any} */ entry) => ({
    key: entry.Key,
    version: entry.VersionId,
    latest: String(entry.IsLatest) === "true",
    marker,
    size: Number(entry.Size ?? 0),
    modified: entry.LastModified,
    etag: entry.ETag ?? "",
  });
  const found = [...many(result.Versions ?? result.Version).map(row(false)), ...many(result.DeleteMarkers ?? result.DeleteMarker).map(row(true))];
  return found.sort((a, b) => Date.parse(b.modified) - Date.parse(a.modified) || Number(b.latest) - Number(a.latest));
}

/** @param {string} bucket @param {string} key @param {string} source encoded `bucket/key[?versionId=]` @param {Record<string, string>} headers */
export const copyOnto = (bucket, key, source, headers = {}) => send({ method: "PUT", url: objectUrl(bucket, key), headers: { "x-amz-copy-source": source, ...headers }, as: "document" });

/** @param {string} bucket @param {string} key @param {number} days @param {string} tier */
export const restore = (bucket, key, days, tier) =>
  send({
    method: "POST",
    url: objectUrl(bucket, key, { restore: BARE }),
    headers: { "Content-Type": "application/xml" },
    body: element("RestoreRequest", element("Days", String(days)), element("GlacierJobParameters", element("Tier", escape(tier)))),
  });

/** The one place that makes XML out of text. @param {string} value */
const escape = (value) => value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;").replaceAll("\r", "&#13;").replaceAll("\n", "&#10;").replaceAll("\t", "&#9;");
/** @param {string} name @param {...string} content escaped already */
const element = (name, ...content) => `<${name}>${content.join("")}</${name}>`;
/** @param {Document | Element | null} node @param {string} name */
const text = (node, name) => node?.getElementsByTagName(name)[0]?.textContent ?? "";

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** CRC-32 as S3 writes it: big-endian, base64. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  crc = ~crc >>> 0;
  return btoa(String.fromCharCode(crc >>> 24, (crc >>> 16) & 255, (crc >>> 8) & 255, crc & 255));
}

/**
 * Listings: buckets, and the keys of a prefix page by page. Apart from the other operations, as the first load needs no more.
 */
import { send } from "./send.js";

export const JSON_ANSWER = { Accept: "application/json" };
export const PAGE = 1000;

/** @typedef {{keys: {Key: string, Size: number, LastModified: string, StorageClass?: string, ETag?: string}[], prefixes: string[], token: string}} ListPage */

/** @param {Record<string, string | number | undefined>} pairs */
export function query(pairs) {
  const parts = Object.entries(pairs).filter(([, value]) => value !== undefined);
  return parts.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join("&");
}

/** @param {string} bucket @param {Record<string, string | number | undefined>} pairs */
export const bucketUrl = (bucket, pairs) => `/${encodeURIComponent(bucket)}?${query(pairs)}`;
/** @param {any} value The member as a list: absent, one or many. @returns {any[]} */
export const many = (value) => (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value]);
/** Some writers put the answer below its element's name. @param {any} body */
export const answer = (body) => body?.ListBucketResult ?? body?.ListVersionsResult ?? body?.ListPartsResult ?? body?.ListMultipartUploadsResult ?? body?.ListAllMyBucketsResult ?? body ?? {};

/** Buckets by name (only where a pattern is granted). @param {AbortSignal} [signal] @returns {Promise<string[]>} */
export async function buckets(signal) {
  const reply = await send({ url: "/", headers: JSON_ANSWER, as: "json", signal });
  const list = answer(reply.body).Buckets;
  return many(list?.Bucket ?? list).map((bucket) => bucket.Name);
}

/**
 * One page of a listing.
 * @param {string} bucket
 * @param {{prefix: string, token?: string, delimiter?: string, size?: number, signal?: AbortSignal}} options
 * @returns {Promise<ListPage>}
 */
export async function listPage(bucket, { prefix, token, delimiter = "/", size = PAGE, signal }) {
  const url = bucketUrl(bucket, {
    "list-type": 2,
    delimiter: delimiter || undefined,
    prefix,
    "max-keys": size === PAGE ? undefined : size,
    "continuation-token": token || undefined,
  });
  const { body } = await send({ url, headers: JSON_ANSWER, as: "json", signal });
  const result = answer(body);
  return {
    keys: many(result.Contents),
    prefixes: many(result.CommonPrefixes).map((entry) => entry.Prefix),
    token: String(result.IsTruncated) === "true" ? result.NextContinuationToken : "",
  };
}

/**
 * A listing, page by page, as it is asked for.
 * @param {string} bucket
 * @param {{prefix: string, delimiter?: string, token?: string, signal?: AbortSignal}} options
 */
export async function* list(bucket, { token = "", ...options }) {
  for (;;) {
    const page = await listPage(bucket, { ...options, token });
    yield page;
    if (!page.token) return;
    token = page.token;
  }
}

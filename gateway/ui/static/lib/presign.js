/**
 * A presigned URL of one object: AWS Signature Version 4 in the query, by the browser's own crypto.
 *
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
const encoder = new TextEncoder();

/** What SigV4 calls URI-encoding: everything but unreserved characters. @param {string} text */
const encoded = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/** @param {ArrayBuffer} bytes */
const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {BufferSource} key @param {string} text */
async function hmac(key, text) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return crypto.subtle.sign("HMAC", imported, encoder.encode(text));
}

/**
 * The URL that reads an object until it ends.
 * @param {{endpoint: string, region: string, bucket: string, key: string, id: string, secret: string, seconds: number, now: Date}} of
 */
export async function presigned({ endpoint, region, bucket, key, id, secret, seconds, now }) {
  const { host } = new URL(endpoint);
  const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/s3/aws4_request`;
  const path = `/${[bucket, ...key.split("/")].map(encoded).join("/")}`;
  const query = Object.entries({
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": `${id}/${scope}`,
    "X-Amz-Date": time,
    "X-Amz-Expires": String(seconds),
    "X-Amz-SignedHeaders": "host",
  })
    .map(([name, value]) => `${name}=${encoded(value)}`)
    .join("&");
  const request = ["GET", path, query, `host:${host}`, "", "host", "UNSIGNED-PAYLOAD"].join("\n");
  const hash = hex(await crypto.subtle.digest("SHA-256", encoder.encode(request)));
  let signing = /** @type {BufferSource} */ (encoder.encode(`AWS4${secret}`));
  for (const part of [day, region, "s3", "aws4_request"]) signing = await hmac(signing, part);
  const signature = hex(await hmac(signing, ["AWS4-HMAC-SHA256", time, scope, hash].join("\n")));
  return `${new URL(endpoint).origin}${path}?${query}&X-Amz-Signature=${signature}`;
}

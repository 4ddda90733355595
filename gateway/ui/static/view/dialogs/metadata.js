/**
 * Metadata, changed by a copy of the object onto itself that keeps the rest.
 */
import { copyOnto } from "../../s3/client.js";
import { encodeKey } from "../../s3/names.js";
import { ask } from "./dialog.js";
import { EditPairs } from "./pairs.js";

const TYPE = "content-type";

/** @param {string} bucket @param {string} key @param {import("../pane.js").Head} head */
export async function editMetadata(bucket, key, head) {
  const save = async (/** @type {[string, string][]} */ pairs) => {
    const type = pairs.find(([name]) => name.toLowerCase() === TYPE)?.[1] || head.type;
    const meta = pairs.filter(([name]) => name.toLowerCase() !== TYPE).map(([name, value]) => [`x-amz-meta-${name}`, value]);
    await copyOnto(bucket, key, `${encodeURIComponent(bucket)}/${encodeKey(key)}`, {
      "x-amz-metadata-directive": "REPLACE",
      "x-amz-copy-source-if-match": `"${head.etag}"`,
      "Content-Type": type,
      ...(head.encoding ? { "Content-Encoding": head.encoding } : {}),
      ...Object.fromEntries(meta),
    });
  };
  const done = await ask(EditPairs, { title: "Edit metadata", pairs: [[TYPE, head.type], ...head.meta], save, note: "Saved by copying the object onto itself; its content and tags stay." });
  if (done) dispatchEvent(new CustomEvent("gateway:written", { detail: key }));
}

// aws-sdk-js v3, driven as `_operations.py` drives the Python clients; a JSON line an operation.
import { createHash } from "node:crypto";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(join(process.env.MATRIX_FOLDER, "package.json"));
const s3 = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const Bucket = process.env.MATRIX_BUCKET;
const PREFIX = process.env.MATRIX_PREFIX;
const LARGE = 20 * 1024 * 1024; // bytes
const LISTED = 7;
const AWKWARD = [
  "with space + plus.txt",
  "ü/日本語 😀.txt",
  "percent %41 %2F %.txt",
  "quotes ' \" & < > #.txt",
  "a;b,c=d@e~f*(g)!$.txt",
];
const client = new s3.S3Client({ forcePathStyle: true });
const folder = mkdtempSync(join(tmpdir(), "matrix-"));
const large = Buffer.alloc(LARGE);
for (let at = 0; at < LARGE; at += 32) createHash("sha256").update(String(at)).digest().copy(large, at);
const listed = Array.from({ length: LISTED }, (_, number) => `${PREFIX}list/0${number}`);

function same(got, sent) {
  if (!Buffer.from(got).equals(Buffer.from(sent))) throw new Error(`${got.length} bytes came back of ${sent.length}`);
}
async function get(Key, Range) {
  const answer = await client.send(new s3.GetObjectCommand({ Bucket, Key, Range }));
  return Buffer.from(await answer.Body.transformToByteArray());
}
async function roundTrip(Key, data) {
  await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: data }));
  same(await get(Key), data);
}
async function list(Prefix) {
  const found = [];
  for await (const page of s3.paginateListObjectsV2({ client, pageSize: 3 }, { Bucket, Prefix }))
    found.push(...(page.Contents ?? []).map((one) => one.Key));
  return found;
}

const operations = {
  write_empty: () => roundTrip(PREFIX + "empty", Buffer.alloc(0)),
  write_byte: () => roundTrip(PREFIX + "byte", Buffer.from("x")),
  async write_large() {
    const file = join(folder, "large");
    writeFileSync(file, large);
    const params = { Bucket, Key: PREFIX + "large", Body: createReadStream(file) };
    await new Upload({ client, params }).done();
  },
  async read_whole() {
    same(await get(PREFIX + "large"), large);
  },
  async read_range() {
    for (const [first, last] of [[0, 0], [1000000, 1000999], [LARGE - 10, LARGE - 1]])
      same(await get(PREFIX + "large", `bytes=${first}-${last}`), large.subarray(first, last + 1));
  },
  async list_pages() {
    for (const key of listed) await client.send(new s3.PutObjectCommand({ Bucket, Key: key, Body: "listed" }));
    const found = await list(PREFIX + "list/");
    if (found.join() !== listed.join()) throw new Error(`listed ${found}`);
  },
  async copy() {
    const CopySource = encodeURI(`${Bucket}/${PREFIX}byte`);
    await client.send(new s3.CopyObjectCommand({ Bucket, Key: PREFIX + "copied", CopySource }));
    same(await get(PREFIX + "copied"), Buffer.from("x"));
  },
  async awkward_keys() {
    const keys = AWKWARD.map((name) => `${PREFIX}awkward/${name}`);
    for (const key of keys) await roundTrip(key, Buffer.from(key));
    const found = await list(PREFIX + "awkward/");
    if (found.sort().join("\n") !== keys.sort().join("\n")) throw new Error(`listed ${found}`);
  },
  async presign() {
    const url = await getSignedUrl(client, new s3.GetObjectCommand({ Bucket, Key: PREFIX + "byte" }));
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`status ${answer.status}: ${await answer.text()}`);
    same(Buffer.from(await answer.arrayBuffer()), Buffer.from("x"));
  },
  async delete_many() {
    const Delete = { Objects: listed.map((Key) => ({ Key })) };
    const answer = await client.send(new s3.DeleteObjectsCommand({ Bucket, Delete }));
    if (answer.Errors?.length) throw new Error(JSON.stringify(answer.Errors));
    const left = await list(PREFIX + "list/");
    if (left.length) throw new Error(`left over: ${left}`);
  },
};

for (const [operation, check] of Object.entries(operations)) {
  const line = { operation, passed: true, note: "" };
  try {
    await check();
  } catch (problem) {
    Object.assign(line, { passed: false, note: `${problem.name}: ${problem.message}`.slice(0, 900) });
  }
  console.log(JSON.stringify(line));
}
rmSync(folder, { recursive: true, force: true });

/**
 * Lines to paste for each program: complete, with the real endpoint, region, key and a bucket. Pure but for the page's own facts.
 */
import { locations } from "../../model/session.js";

/** @typedef {{id: string, label: string, setup: string, test: string, note: string, secret: boolean}} Snippet */

/** A word for a POSIX shell. @param {string} word */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** @param {{id: string, secret: string, buckets: string[]}} key @returns {Snippet[]} */
export function snippets({ id, secret, buckets }) {
  const { endpoint = location.origin, region = "us-east-1" } = document.documentElement.dataset;
  const url = new URL(endpoint);
  const plain = url.protocol === "http:";
  const place = locations.value.find((row) => row.allow.has("list") && (!buckets.length || buckets.includes(row.bucket)));
  const where = place ? `${place.bucket}/${place.prefix}` : "";
  const profile = (url.hostname.split(".").find((part) => /[a-z]/i.test(part)) ?? "gateway").replace(/[^\w-]/g, "");
  const set = (/** @type {string} */ name, /** @type {string} */ value) => `aws configure set ${name} ${quoted(value)} --profile ${profile}`;
  const s3 = quoted(`s3://${where}`);
  const python = (/** @type {string} */ text) => JSON.stringify(text);
  return [
    {
      id: "keyless",
      label: "keyless",
      secret: false,
      setup: `gateway login ${quoted(endpoint)} --profile ${profile}`,
      note: "Signs in by browser and writes an AWS profile that renews itself: no secret to keep. Needs `pip install s3-auth-gateway`.",
      test: `aws --profile ${profile} s3 ls ${s3}`,
    },
    {
      id: "aws",
      label: "aws cli",
      secret: true,
      setup: [set("aws_access_key_id", id), set("aws_secret_access_key", secret), set("region", region), set("endpoint_url", endpoint), set("s3.signature_version", "s3v4")].join("\n"),
      note: "Needs aws cli 2.13 or 1.29, which know endpoint_url.",
      test: `aws --profile ${profile} s3 ls ${s3}`,
    },
    {
      id: "rclone",
      label: "rclone",
      secret: true,
      setup: `rclone config create ${profile} s3 provider=Other endpoint=${quoted(endpoint)} access_key_id=${quoted(id)} secret_access_key=${quoted(secret)} region=${quoted(region)} force_path_style=true no_check_bucket=true`,
      note: "Any rclone of the last years.",
      test: `rclone lsf ${quoted(`${profile}:${where}`)}`,
    },
    {
      id: "boto3",
      label: "boto3",
      secret: true,
      setup: [
        "import boto3",
        "from botocore.config import Config",
        "",
        "s3 = boto3.client(",
        '    "s3",',
        `    endpoint_url=${python(endpoint)},`,
        `    aws_access_key_id=${python(id)},`,
        `    aws_secret_access_key=${python(secret)},`,
        `    region_name=${python(region)},`,
        '    config=Config(signature_version="s3v4"),  # presigned links too',
        ")",
      ].join("\n"),
      note: "Then this prints one listing:",
      test: `for row in s3.list_objects_v2(Bucket=${python(place?.bucket ?? "")}, Prefix=${python(place?.prefix ?? "")}).get("Contents", []):\n    print(row["Key"], row["Size"])`,
    },
    {
      id: "s3cmd",
      label: "s3cmd",
      secret: true,
      setup: `alias s3=${quoted(`s3cmd --access_key=${id} --secret_key=${secret} --host=${url.host} --host-bucket=${url.host}${plain ? " --no-ssl" : ""} --region=${region}`)}`,
      note: "An alias of this shell; `s3cmd --configure` keeps the same values in a file.",
      test: `s3cmd --access_key=${quoted(id)} --secret_key=${quoted(secret)} --host=${url.host} --host-bucket=${url.host}${plain ? " --no-ssl" : ""} ls ${s3}`,
    },
    {
      id: "duckdb",
      label: "DuckDB",
      secret: true,
      setup: `CREATE SECRET (TYPE s3, KEY_ID '${id}', SECRET '${secret}', ENDPOINT '${url.host}', URL_STYLE 'path', REGION '${region}', USE_SSL ${plain ? "false" : "true"});`,
      note: "In the DuckDB shell, with its httpfs extension.",
      test: `SELECT * FROM glob('s3://${where.replaceAll("'", "''")}**') LIMIT 10;`,
    },
  ];
}

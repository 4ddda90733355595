/**
 * Parquet: schema, row groups and the first 50 rows, read by ranges of the footer and one group.
 */
import { html, useEffect, useState } from "../lib/dom.js";
import { count, plural, size } from "../lib/format.js";
import { getRange } from "../s3/client.js";
import { Table } from "./csv.js";
import { Waiting } from "./source.js";

const ROWS = 50;
const MOST = 32 * 1024 * 1024; // bytes of one group that are fetched for a glance

/** @param {unknown} value */
const shown = (value) => (value === null || value === undefined ? "" : value instanceof Date ? value.toISOString() : typeof value === "object" ? JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part)) : String(value));

/** @param {import("./pick.js").Props} props */
export default function Parquet({ bucket, name, head, fail }) {
  const [facts, setFacts] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const controller = new AbortController();
    const file = {
      byteLength: head.size,
      /** @param {number} from @param {number} [to] */
      slice: async (from, to = head.size) => (await getRange(bucket, name, from, to - 1, { signal: controller.signal })).body,
    };
    (async () => {
      const { parquetMetadataAsync, parquetReadObjects, parquetSchema } = await import("../vendor/hyparquet/index.js");
      const metadata = await parquetMetadataAsync(file);
      const columns = parquetSchema(metadata).children.map((/** @type {any} */ child) => ({ name: child.element.name, type: (child.element.logical_type?.type ?? child.element.converted_type ?? child.element.type ?? "group").toString() }));
      const found = { metadata, columns, rows: /** @type {any[] | null} */ (null), reason: "" };
      const group = metadata.row_groups[0];
      if (!group || Number(group.total_byte_size) > MOST) found.reason = group ? "The first row group is too large for a glance." : "It has no rows.";
      else {
        try {
          found.rows = await parquetReadObjects({ file, metadata, rowStart: 0, rowEnd: Math.min(ROWS, Number(metadata.num_rows)) });
        } catch (error) {
          found.reason = /** @type {Error} */ (error).message;
        }
      }
      setFacts(found);
    })().catch((error) => fail(error.name === "Failure" || error.name === "AbortError" ? error : `This is no Parquet file that can be read: ${error.message}`));
    return () => controller.abort();
  }, []);
  if (!facts) return html`<${Waiting} />`;
  const { metadata, columns, rows, reason } = facts;
  return html`
    <div>
      <div class="view-bar muted">${plural(Number(metadata.num_rows), "row")} · ${plural(columns.length, "column")} · ${plural(metadata.row_groups.length, "row group")} · ${size(head.size)}</div>
      ${rows ? html`<${Table} head=${columns.map((/** @type {any} */ c) => c.name)} rows=${rows.map((/** @type {any} */ row) => columns.map((/** @type {any} */ c) => shown(row[c.name])))} />${Number(metadata.num_rows) > ROWS && html`<div class="view-note">The first ${count(ROWS)} rows.</div>`}` : html`<div class="view-note">No rows shown: ${reason}</div>`}
      <${Table} head=${["Column", "Type"]} rows=${columns.map((/** @type {any} */ c) => [c.name, c.type.toLowerCase()])} />
    </div>
  `;
}

/**
 * CSV and TSV as a table: the first 1 000 rows, header kept in view, ragged rows marked.
 */
import { html, useMemo, useState } from "../lib/dom.js";
import { DELIMITERS, guess, parse } from "../lib/csv.js";
import { plural } from "../lib/format.js";
import { Lines } from "./code.js";
import { Waiting, useSource } from "./source.js";

const ROWS = 1000;

/** @param {{head: string[], rows: string[][], ragged?: boolean}} props */
export function Table({ head, rows, ragged = true }) {
  return html`
    <div class="view-table" tabindex="0" role="region" aria-label="Table">
      <table>
        <thead><tr><th scope="col"><span class="hidden">Row</span></th>${head.map((name, i) => html`<th key=${i} scope="col">${name}</th>`)}</tr></thead>
        <tbody>${rows.map((row, i) => html`<tr key=${i} class=${ragged && row.length !== head.length ? "ragged" : ""}><th scope="row">${i + 1}</th>${row.map((field, j) => html`<td key=${j}>${field}</td>`)}</tr>`)}</tbody>
      </table>
    </div>
  `;
}

/** @param {import("./pick.js").Props} props */
export default function Csv(props) {
  const { state, note } = useSource(props);
  const [chosen, setChosen] = useState("");
  const [source, setSource] = useState(false);
  const delimiter = chosen || (state ? (/\.tsv(\.gz)?$/i.test(props.name) ? "\t" : guess(state.text)) : ",");
  const table = useMemo(() => (state ? parse(state.text, delimiter, ROWS + 2) : []), [state, delimiter]);
  if (!state) return html`<${Waiting} />`;
  const [head = [], ...all] = table;
  // The last row of a part may be cut in the middle.
  const rows = state.whole ? all.slice(0, ROWS) : all.slice(0, Math.min(ROWS, all.length - 1));
  const ragged = rows.filter((row) => row.length !== head.length).length;
  return html`
    <div>
      <div class="view-bar">
        <span class="grow muted">${plural(rows.length, "row")}${all.length > ROWS ? " (the first)" : ""}${ragged ? ` · ${plural(ragged, "ragged row")}` : ""}</span>
        <label>Delimiter <select value=${delimiter} onChange=${(/** @type {any} */ event) => setChosen(event.target.value)}>${DELIMITERS.map((char) => html`<option key=${char} value=${char} selected=${char === delimiter}>${char === "\t" ? "Tab" : char}</option>`)}</select></label>
        <button class="quiet" aria-pressed=${source ? "true" : "false"} onClick=${() => setSource(!source)}>Source</button>
      </div>
      ${note}${source ? html`<${Lines} text=${state.text} language="" />` : html`<${Table} head=${head} rows=${rows} />`}
    </div>
  `;
}

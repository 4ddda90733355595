/**
 * Text and code: line numbers, wrapping, highlighting of what is small enough; editing of what may be written.
 */
import { cls, html, useEffect, useMemo, useState } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { prefer, prefs } from "../model/prefs.js";
import { may } from "../model/session.js";
import { base, extension, parent } from "../s3/names.js";
import { Waiting, useSource } from "./source.js";

const HIGHLIGHTED = 256 * 1024; // characters; longer texts cost more than they gain
const LINES = 4000; // lines drawn at once
const EDITED = 1024 * 1024; // bytes

/** Extension to language, where the two differ. @type {Record<string, string>} */
const ALIASES = {
  js: "javascript", mjs: "javascript", cjs: "javascript", jsx: "javascript", ts: "typescript", tsx: "typescript", py: "python", rs: "rust", rb: "ruby", cs: "csharp", h: "c", cc: "cpp", hpp: "cpp", sh: "bash", zsh: "bash",
  htm: "xml", html: "xml", svg: "xml", yml: "yaml", toml: "ini", conf: "ini", cfg: "ini", kt: "kotlin", pl: "perl", patch: "diff", ps1: "powershell", md: "markdown", jsonl: "json", ndjson: "json", ipynb: "json", geojson: "json",
};
const LANGUAGES = new Set("bash c cpp csharp css diff dockerfile go ini java javascript json kotlin lua makefile markdown nginx perl php powershell python r ruby rust scala sql swift typescript xml yaml".split(" "));

/** @param {string} name */
function languageOf(name) {
  const bare = base(name).replace(/\.gz$/i, "");
  const ext = extension(bare) || bare.toLowerCase();
  const language = ALIASES[ext] ?? ext;
  return LANGUAGES.has(language) ? language : "";
}

/** @typedef {{words: string, scope: string}} Token */

/** Highlighted text as lines of tokens: from the highlighter's tree, never from its markup. @param {string} text @param {string} language @returns {Promise<Token[][]>} */
async function highlighted(text, language) {
  const [{ default: hljs }, { default: grammar }] = await Promise.all([import("../vendor/hljs/core.js"), import(`../vendor/hljs/${language}.js`)]);
  if (!hljs.getLanguage(language)) hljs.registerLanguage(language, grammar);
  const { _emitter: emitter } = hljs.highlight(text, { language, ignoreIllegals: true });
  /** @type {Token[][]} */
  const lines = [[]];
  const walk = (/** @type {any} */ node, /** @type {string} */ scope) => {
    if (typeof node === "string") {
      node.split("\n").forEach((words, i) => {
        if (i) lines.push([]);
        if (words) lines[lines.length - 1].push({ words, scope });
      });
      return;
    }
    for (const child of node.children) walk(child, (node.scope ?? node.kind ?? "").split(".")[0] || scope);
  };
  walk(emitter.rootNode, "");
  return lines;
}

/** Code of a fenced block for other previews. @param {{text: string, language: string}} props */
export function Lines({ text, language }) {
  const [lines, setLines] = useState(/** @type {Token[][] | null} */ (null));
  useEffect(() => {
    let wanted = true;
    setLines(null);
    if (language && text.length <= HIGHLIGHTED) highlighted(text, language).then((found) => wanted && setLines(found), () => {});
    return () => {
      wanted = false;
    };
  }, [text, language]);
  const plain = useMemo(() => text.replaceAll("\r\n", "\n").split("\n"), [text]);
  const [most, setMost] = useState(LINES);
  const wrap = prefs.value.wrap;
  const shown = (lines ?? plain).slice(0, most);
  return html`
    <div class=${cls("view-text", wrap && "wrap")} tabindex="0" role="region" aria-label="Content">
      <ol>${shown.map((line, i) => html`<li key=${i}><span>${typeof line === "string" ? line : line.map(({ words, scope }) => (scope ? html`<span class=${`hl-${scope}`}>${words}</span>` : words))}</span></li>`)}</ol>
    </div>
    ${plain.length > most && html`<div class="view-note"><span class="grow">The first ${count(most)} of ${count(plain.length)} lines.</span><button class="button small" onClick=${() => setMost(most + LINES)}>Show more lines</button></div>`}
  `;
}

/** @param {import("./pick.js").Props} props */
export default function Code(props) {
  const { state, note } = useSource(props);
  const [editing, setEditing] = useState(/** @type {any} */ (null));
  if (!state) return html`<${Waiting} />`;
  const { bucket, name, head } = props;
  if (editing) return html`<${editing} bucket=${bucket} name=${name} head=${head} text=${state.text} close=${() => setEditing(null)} />`;
  const editable = state.whole && state.charset === "UTF-8" && !head.encoding && !/\.gz$/i.test(name) && head.size <= EDITED && may("write", bucket, parent(name));
  return html`
    <div>
      <div class="view-bar">
        <span class="muted grow">${languageOf(name) || "text"} · ${state.charset}</span>
        <button class="quiet" aria-pressed=${prefs.value.wrap ? "true" : "false"} onClick=${() => prefer({ wrap: !prefs.peek().wrap })}>Wrap</button>
        ${editable && html`<button class="quiet" onClick=${() => import("./edit.js").then((module) => setEditing(() => module.Edit))}>Edit</button>`}
      </div>
      ${note}<${Lines} text=${state.text} language=${languageOf(name)} />
    </div>
  `;
}

/**
 * Ctrl+K: filter or jump. Takes `name`, `bucket/prefix`, `s3://bucket/prefix`; suggests by one short listing.
 */
import { html, style, uid, useEffect, useMemo, useRef, useState } from "../../lib/dom.js";
import { Icon, iconFor } from "../../lib/icons.js";
import { browse, go, object, place } from "../../model/place.js";
import { known, locations } from "../../model/session.js";
import { listPage } from "../../s3/client.js";
import { display, extension, parent, typedPlace } from "../../s3/names.js";
import { isAbort } from "../../s3/send.js";
import { Dialog } from "./dialog.js";

await style("parts");

const SUGGESTED = 50; // keys
const QUIET = 180; // ms without typing before the question is sent

/** @typedef {{bucket: string, key: string, words: string, icon: string}} Suggestion */

/** What was typed, as a place: absolute, or below where the person stands. @param {string} typed */
function meant(typed) {
  const absolute = typedPlace(typed, known);
  if (absolute && (typed.includes("/") || /^s3:/i.test(typed))) return absolute;
  const { bucket, prefix } = place.peek();
  return bucket ? { bucket, key: prefix + typed } : null;
}

/** @param {string} typed @returns {Suggestion[]} */
const matchingLocations = (typed) =>
  locations
    .peek()
    .filter(({ bucket, prefix }) => `${bucket}/${prefix}`.toLowerCase().includes(typed.toLowerCase()))
    .slice(0, 8)
    .map(({ bucket, prefix }) => ({ bucket, key: prefix, words: `${bucket}/${prefix}`, icon: "bucket" }));

/** @param {{done: (value?: any) => void}} props */
export function Jump({ done }) {
  const [typed, setTyped] = useState("");
  const [found, setFound] = useState(/** @type {Suggestion[]} */ ([]));
  const [chosen, setChosen] = useState(-1);
  const list = useMemo(() => uid("suggestions"), []);
  const node = useRef(/** @type {HTMLElement | null} */ (null));

  useEffect(() => {
    const target = typed ? meant(typed) : null;
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      if (!target) {
        setFound([]);
        return;
      }
      try {
        const page = await listPage(target.bucket, { prefix: target.key, size: SUGGESTED, signal: controller.signal });
        const names = [...page.prefixes, ...page.keys.map((entry) => entry.Key)].filter((key) => key !== target.key || !key.endsWith("/"));
        setFound(names.map((key) => ({ bucket: target.bucket, key, words: key, icon: key.endsWith("/") ? "folder" : iconFor(extension(key)) })));
        setChosen(-1);
      } catch (error) {
        if (!isAbort(error)) setFound([]);
      }
    }, QUIET);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [typed]);

  /** @type {Suggestion[]} */
  const rows = [...matchingLocations(typed.replace(/^s3:\/\//i, "")), ...found];
  const land = (/** @type {Suggestion | undefined} */ row) => {
    const target = row ?? (typed ? meant(typed) : null);
    if (!target) return false;
    const { bucket, key } = target;
    if (row && !key.endsWith("/") && key !== "") go(object(bucket, key), { state: { focus: key.slice(parent(key).length) } });
    else if (key === "" || key.endsWith("/")) go(browse(bucket, key));
    else go({ ...browse(bucket, parent(key)), starts: key.slice(parent(key).length) });
    return true;
  };
  const exact = meant(typed);
  // Enter lands on the suggestion that is what was typed, else on the names that begin so.
  const submit = () => land(chosen >= 0 || !exact ? rows[Math.max(0, chosen)] : (rows.find((row) => row.bucket === exact.bucket && (row.key === exact.key || row.key === `${exact.key}/`)) ?? (typed ? undefined : rows[0])));
  const keys = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || !rows.length) return;
    event.preventDefault();
    const next = chosen < 0 ? (step > 0 ? 0 : rows.length - 1) : (chosen + step + rows.length) % rows.length;
    setChosen(next);
    node.current?.children[next]?.scrollIntoView({ block: "nearest" });
  };
  return html`
    <${Dialog} title="Jump to a place" done=${done} submit=${submit} action="Go" ready=${typed !== "" || rows.length > 0} cancel=${null} wide=${true}>
      <input class="field mono" role="combobox" aria-label="Name, bucket/prefix or s3:// address" aria-expanded=${rows.length ? "true" : "false"} aria-controls=${list} aria-activedescendant=${chosen >= 0 ? `${list}-${chosen}` : undefined}
        placeholder="name, bucket/prefix or s3://bucket/prefix" value=${typed} spellcheck=${false} autocapitalize="off" autocomplete="off" onInput=${(/** @type {any} */ event) => (setTyped(event.target.value), setChosen(-1))} onKeyDown=${keys} />
      <ul class="suggestions" id=${list} role="listbox" aria-label="Places" ref=${node}>
        ${rows.map((row, i) => html`
          <li key=${`${row.bucket}/${row.key}/${i}`} id=${`${list}-${i}`} role="option" aria-selected=${i === chosen ? "true" : "false"} class=${i === chosen ? "chosen" : ""} onClick=${() => (land(row), done(true))}>
            <${Icon} name=${row.icon} /><bdi class="mono">${display(row.words)}</bdi>
          </li>`)}
      </ul>
      <p class="small muted">Enter goes there. A name without a slash shows the names here that begin so.</p>
    <//>
  `;
}

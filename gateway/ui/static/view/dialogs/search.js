/**
 * Search below a folder: a bounded listing without delimiter, that can be stopped.
 */
import { html, style, useEffect, useRef, useState } from "../../lib/dom.js";
import { count, plural, size } from "../../lib/format.js";
import { Icon, iconFor } from "../../lib/icons.js";
import { href, link, object, place } from "../../model/place.js";
import { list } from "../../s3/client.js";
import { display, extension } from "../../s3/names.js";
import { isAbort } from "../../s3/send.js";
import { Dialog, ask, dialogOpen } from "./dialog.js";

await style("parts");

const KEYS = 100_000;
const SECONDS = 20;
const SHOWN = 300;

/** @param {{text: string, bucket: string, prefix: string, done: (value?: any) => void}} props */
function Search({ text, bucket, prefix, done }) {
  const [typed, setTyped] = useState(text);
  const [state, setState] = useState({ seen: 0, running: false, end: "" });
  const [found, setFound] = useState(/** @type {{key: string, size: number}[]} */ ([]));
  const controller = useRef(/** @type {AbortController | null} */ (null));

  const search = async () => {
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    const wanted = typed.toLowerCase();
    const began = Date.now();
    /** @type {{key: string, size: number}[]} */
    const hits = [];
    let seen = 0;
    setFound([]);
    setState({ seen: 0, running: true, end: "" });
    try {
      for await (const page of list(bucket, { prefix, delimiter: "", signal: mine.signal })) {
        seen += page.keys.length;
        for (const { Key, Size } of page.keys) if (Key.slice(prefix.length).toLowerCase().includes(wanted) && hits.length < SHOWN) hits.push({ key: Key, size: Number(Size) });
        setFound([...hits]);
        setState({ seen, running: true, end: "" });
        if (seen >= KEYS || Date.now() - began > SECONDS * 1000) {
          mine.abort();
          setState({ seen, running: false, end: "Stopped there; more keys exist." });
          return false;
        }
      }
      setState({ seen, running: false, end: "That was all." });
    } catch (error) {
      if (!isAbort(error)) throw error;
      setState({ seen, running: false, end: "Stopped." });
    }
    return false;
  };
  useEffect(() => {
    if (text) search();
    return () => controller.current?.abort();
  }, []);
  return html`
    <${Dialog} title="Search below this folder" done=${done} submit=${search} action="Search" ready=${typed !== ""} wide=${true} cancel="Close" extra=${state.running && html`<button type="button" class="button" onClick=${() => controller.current?.abort()}>Stop</button>`}>
      <input class="field" data-autofocus type="search" aria-label=${`Text that a key below ${prefix || bucket} holds`} value=${typed} spellcheck=${false} onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} />
      <p class="small muted" aria-live="polite">${state.seen || state.end ? `Searched ${count(state.seen)} keys, ${plural(found.length, "result")}. ${state.end}` : html`In <bdi>${display(`${bucket}/${prefix}`)}</bdi>`}</p>
      <ul class="suggestions" hidden=${!found.length}>
        ${found.map(({ key, size: bytes }) => html`<li key=${key}><${Icon} name=${iconFor(extension(key))} /><a class="grow" href=${href(object(bucket, key))} onClick=${(/** @type {any} */ event) => (link(object(bucket, key)).onClick(event), event.defaultPrevented && done())}><bdi>${display(key.slice(prefix.length))}</bdi></a><span class="muted num small">${size(bytes)}</span></li>`)}
      </ul>
    <//>
  `;
}

/** @param {string} text */
export const search = (text) => (dialogOpen() ? undefined : ask(Search, { text, bucket: place.peek().bucket, prefix: place.peek().prefix }));

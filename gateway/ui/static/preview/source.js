/**
 * The text of an object for the kinds that show text: loaded by the MiB, with the words that say so.
 */
import { html, useEffect, useState } from "../lib/dom.js";
import { text as words } from "../lib/text.js";
import { downloadKey } from "../view/work.js";
import { MOST, STEP, begin, decode } from "./bytes.js";

/** @param {import("./pick.js").Props} props @param {number} [first] bytes to begin with */
export function useSource({ bucket, name, head, fail }, first = STEP) {
  const [limit, setLimit] = useState(first);
  const [state, setState] = useState(/** @type {{text: string, charset: string, whole: boolean, shown: number} | null} */ (null));
  useEffect(() => {
    const controller = new AbortController();
    begin({ bucket, name, head }, limit, controller.signal).then(({ bytes, whole }) => {
      const found = decode(bytes, whole);
      if (found) setState({ ...found, whole, shown: bytes.length });
      else fail(/** @type {any} */ ("This is a binary file. Only its facts are shown."));
    }, fail);
    return () => controller.abort();
  }, [limit]);
  const note =
    state && !state.whole
      ? html`<div class="view-note"><span class="grow">${words.partial(state.shown, Math.max(head.size, state.shown))}</span>${limit < MOST && html`<button class="button small" onClick=${() => setLimit(Math.min(MOST, limit + STEP))}>Load more</button>`}<button class="button small" onClick=${() => downloadKey(bucket, name)}>Download</button></div>`
      : null;
  return { state, note };
}

export const Waiting = () => html`<div class="skeleton"><div class="bone"></div><div class="bone"></div><div class="bone"></div></div>`;

/**
 * Markdown: rendered, sanitised, shown as nodes; or its source.
 *
 * Raw HTML in the text becomes text before the sanitiser sees it (UIS-6): even where a parsed
 * `onerror` cannot run, it raises a report.
 */
import { html, useEffect, useRef, useState } from "../lib/dom.js";
import { href, object } from "../model/place.js";
import { objectPath, parent } from "../s3/names.js";
import { Lines } from "./code.js";
import { Waiting, useSource } from "./source.js";

/** @param {string} text */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** The key that a relative address means; "" where it is none of this bucket. @param {string} address @param {string} from prefix of the document */
export function relativeKey(address, from) {
  if (!address || /^([a-z][a-z0-9+.-]*:|\/\/|#|\\)/i.test(address)) return "";
  try {
    const base = `https://x/${from.split("/").map(encodeURIComponent).join("/")}`;
    const url = new URL(address, base);
    return url.host === "x" ? decodeURIComponent(url.pathname.slice(1)) : "";
  } catch {
    return "";
  }
}

/** @param {string} text @param {string} bucket @param {string} name @returns {Promise<DocumentFragment>} */
export async function rendered(text, bucket, name) {
  const [{ Marked }, { default: purify }] = await Promise.all([import("../vendor/marked.js"), import("../vendor/purify.js")]);
  const marked = new Marked({
    gfm: true,
    renderer: { html: (/** @type {any} */ token) => escaped(token.text ?? token.raw ?? "") },
  });
  const markup = await marked.parse(text);
  const fragment = /** @type {DocumentFragment} */ (
    purify.sanitize(withoutSources(markup), { RETURN_DOM_FRAGMENT: true, FORBID_TAGS: ["style", "form", "input", "button", "textarea", "select", "svg", "math", "iframe", "video", "audio", "source", "link", "meta"], FORBID_ATTR: ["style", "class", "id", "name", "srcset"], ALLOW_DATA_ATTR: true })
  );
  for (const image of fragment.querySelectorAll("img")) placeImage(/** @type {HTMLImageElement} */ (image), bucket, name);
  for (const link of fragment.querySelectorAll("a[href]")) placeLink(/** @type {HTMLAnchorElement} */ (link), bucket, name);
  return fragment;
}

/** Pictures are not fetched while the text is parsed: their address waits in data-src. @param {string} markup */
const withoutSources = (markup) => markup.replace(/<img src="/g, '<img data-src="');

/** Pictures of this bucket are shown, others become links. @param {HTMLImageElement} image @param {string} bucket @param {string} name */
function placeImage(image, bucket, name) {
  const address = image.dataset.src ?? "";
  delete image.dataset.src;
  const key = relativeKey(address, parent(name));
  if (key) {
    image.src = objectPath(bucket, key);
    image.loading = "lazy";
    return;
  }
  const link = document.createElement("a");
  link.textContent = image.alt || address;
  if (/^https?:/i.test(address)) link.href = address;
  image.replaceWith(link);
  placeLink(link, bucket, name);
}

/** @param {HTMLAnchorElement} link @param {string} bucket @param {string} name */
function placeLink(link, bucket, name) {
  const address = link.getAttribute("href") ?? "";
  const key = relativeKey(address, parent(name));
  if (key) link.href = href(object(bucket, key));
  else if (!/^(https?|mailto):/i.test(address)) link.removeAttribute("href");
  link.rel = "noopener noreferrer";
  if (!key) link.target = "_blank";
}

/** @param {import("./pick.js").Props} props */
export default function Markdown(props) {
  const { bucket, name, fail } = props;
  const { state, note } = useSource(props);
  const [source, setSource] = useState(false);
  const node = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (!state || source) return;
    rendered(state.text, bucket, name).then((fragment) => node.current?.replaceChildren(fragment), () => fail(/** @type {any} */ ("The text could not be rendered.")));
  }, [state, source]);
  if (!state) return html`<${Waiting} />`;
  return html`
    <div>
      <div class="view-bar"><span class="grow muted">Markdown</span><button class="quiet" aria-pressed=${source ? "true" : "false"} onClick=${() => setSource(!source)}>Source</button></div>
      ${note}${source ? html`<${Lines} text=${state.text} language="markdown" />` : html`<article class="view-doc" ref=${node} tabindex="0"></article>`}
    </div>
  `;
}

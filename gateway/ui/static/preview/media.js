/**
 * Sound and film, by the browser's own controls; leaving ends the transfer.
 */
import { html, useEffect, useRef } from "../lib/dom.js";
import { base, extension, objectPath } from "../s3/names.js";

const SOUND = new Set("mp3 wav ogg oga flac m4a aac opus".split(" "));

/** @param {import("./pick.js").Props} props */
export default function Media({ bucket, name, head, fail }) {
  const node = useRef(/** @type {HTMLMediaElement | null} */ (null));
  useEffect(
    () => () => {
      node.current?.removeAttribute("src");
      node.current?.load();
    },
    [],
  );
  const kind = head.type.startsWith("audio/") || SOUND.has(extension(name)) ? "audio" : "video";
  return html`<div class="view-media"><${kind} ref=${node} controls preload="metadata" src=${objectPath(bucket, name)} aria-label=${base(name)} onError=${() => node.current?.getAttribute("src") && fail(/** @type {any} */ ("The browser cannot play this file."))}><//></div>`;
}

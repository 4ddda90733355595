/**
 * Which kind of preview an object gets, from extension, type and size; the kind's module is loaded when it is opened.
 */
import { html, useEffect, useState } from "../lib/dom.js";
import { Icon } from "../lib/icons.js";
import { size } from "../lib/format.js";
import { extension, base } from "../s3/names.js";
import { isAbort } from "../s3/send.js";
import { Problem } from "../view/banner.js";

/** @typedef {import("../view/pane.js").Head} Head */
/** @typedef {{bucket: string, name: string, head: Head, full: boolean, fail: (reason: string) => void}} Props */
/** @typedef {"image"|"media"|"pdf"|"markdown"|"csv"|"json"|"code"|"text"|"parquet"} Kind */

/** @type {Record<Kind, string>} */
const EXTENSIONS = {
  image: "png jpg jpeg gif webp avif svg bmp ico",
  media: "mp3 wav ogg oga flac m4a aac opus mp4 webm mov m4v ogv",
  pdf: "pdf",
  markdown: "md markdown",
  csv: "csv tsv",
  json: "json geojson",
  code: "js mjs cjs ts tsx jsx py go rs java c h cc cpp hpp cs rb php sh bash zsh sql html htm xml css scss yaml yml toml ini conf cfg kt swift scala lua pl r tf dockerfile makefile diff patch ps1 ipynb ndjson jsonl",
  text: "txt log rst tex srt vtt env gitignore properties nfo",
  parquet: "parquet",
};
/** @type {Map<string, Kind>} */
const BY_EXTENSION = new Map(Object.entries(EXTENSIONS).flatMap(([kind, list]) => list.split(" ").map((ext) => [ext, /** @type {Kind} */ (kind)])));

/** @type {[RegExp, Kind][]} */
const BY_TYPE = [
  [/^image\/(png|jpeg|gif|webp|avif|svg\+xml|bmp)/, "image"],
  [/^(audio|video)\//, "media"],
  [/^application\/pdf/, "pdf"],
  [/^text\/markdown/, "markdown"],
  [/^text\/(csv|tab-separated-values)/, "csv"],
  [/^application\/([\w.]+\+)?json/, "json"],
  [/^(text\/html|text\/xml|application\/([\w.]+\+)?xml|text\/css|.*javascript|application\/yaml|application\/sql|text\/x-)/, "code"],
  [/^text\//, "text"],
  [/parquet/, "parquet"],
];

/** The name that decides: of "a.csv.gz" the inner one. @param {string} name */
const inner = (name) => (extension(name) === "gz" ? name.slice(0, -3) : name);

/** @param {string} name @param {string} type @returns {Kind | null} */
export function kindOf(name, type) {
  const bare = inner(base(name));
  const known = BY_EXTENSION.get(extension(bare) || bare.toLowerCase());
  return known ?? BY_TYPE.find(([pattern]) => pattern.test(type))?.[1] ?? null;
}

/** @type {Record<Kind, () => Promise<{default: any}>>} */
const MODULES = {
  image: () => import("./image.js"),
  media: () => import("./media.js"),
  pdf: () => import("./pdf.js"),
  markdown: () => import("./markdown.js"),
  csv: () => import("./csv.js"),
  json: () => import("./json.js"),
  code: () => import("./code.js"),
  text: () => import("./code.js"),
  parquet: () => import("./parquet.js"),
};

/** @param {{reason: string, actions?: any}} props */
export const Cannot = ({ reason, actions }) => html`<div class="cannot"><${Icon} name="file" /><p>${reason}</p>${actions}</div>`;

/** @param {Omit<Props, "fail">} props */
export function Preview({ bucket, name, head, full }) {
  const [View, setView] = useState(/** @type {any} */ (null));
  const [reason, fail] = useState("");
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const kind = kindOf(name, head.type);

  useEffect(() => {
    if (!kind) return;
    MODULES[kind]().then((module) => setView(() => module.default), () => fail("The preview could not be loaded."));
  }, [kind]);

  const refused = (/** @type {any} */ problem) => {
    if (typeof problem === "string") fail(problem);
    else if (!isAbort(problem)) setFailure(problem);
  };
  if (failure) return html`<${Problem} failure=${failure} action="s3:GetObject" />`;
  if (reason) return html`<${Cannot} reason=${reason} />`;
  if (head.size === 0) return html`<${Cannot} reason="The file is empty." />`;
  if (!kind) return html`<${Cannot} reason=${`No preview for this kind of file (${head.type || "unknown type"}, ${size(head.size)}).`} />`;
  if (!View) return html`<div class="skeleton"><div class="bone tall"></div></div>`;
  return html`<${View} bucket=${bucket} name=${name} head=${head} full=${full} kind=${kind} fail=${refused} />`;
}

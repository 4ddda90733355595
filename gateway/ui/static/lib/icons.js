/**
 * The icons: path data on a 20 px grid, 1.5 px stroke, drawn in the colour of the text beside them.
 */
import { html } from "./dom.js";

/** @type {Record<string, string>} */
const PATHS = {
  folder: "M2.75 5.5a1 1 0 0 1 1-1h3.9l1.9 2.2h6.7a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H3.75a1 1 0 0 1-1-1z",
  file: "M5 2.75h6.3L15.25 6.700v9.550a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V3.750a1 1 0 0 1 1-1zM11 3v4h4",
  text: "M5 2.75h6.3L15.25 6.700v9.550a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V3.750a1 1 0 0 1 1-1zM7 9.500h5M7 12h5M7 14.500h3",
  code: "M7 6.500 3 10l4 3.500M13 6.500l4 3.500-4 3.500M11.500 4.500l-3 11",
  image: "M3.750 3.750h12.500v12.500H3.750zM4 14l4-4.500 3 3 1.800-1.800L16 14M12.700 7.600a.9.9 0 1 0 .01 0",
  media: "M3.750 4.750h12.500v10.500H3.750zM8.500 7.750v4.500L12.250 10z",
  table: "M3.250 4.250h13.500v11.500H3.250zM3.250 8h13.500M3.250 12h13.500M8 4.250v11.500",
  pdf: "M5 2.75h6.3L15.25 6.700v9.550a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V3.750a1 1 0 0 1 1-1zM7 13.500c2-1 3.500-3.500 3-5.500-.4-1-1.500 0-.5 2s2.500 3 3.500 2.200c.6-.9-3-.6-6 1.300z",
  archive: "M3.250 4.250h13.500v3.500H3.250zM4.250 7.750h11.500v8.500H4.250zM8 10.500h4",
  bucket: "M3.500 5.500c0-1 2.900-1.800 6.500-1.800s6.500.8 6.500 1.800-2.900 1.800-6.500 1.800-6.500-.8-6.500-1.800zM3.500 5.500l1.500 9.700c.2.900 2.400 1.600 5 1.600s4.800-.7 5-1.600l1.500-9.700",
  upload: "M10 13V3.750M6.250 7.250 10 3.500l3.750 3.750M3.500 13v2.500a1 1 0 0 0 1 1h11a1 1 0 0 0 1-1V13",
  download: "M10 3.500v9.250M6.250 9.250 10 13l3.750-3.750M3.500 13v2.500a1 1 0 0 0 1 1h11a1 1 0 0 0 1-1V13",
  newfolder: "M2.750 5.500a1 1 0 0 1 1-1h3.900l1.900 2.200h6.700a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H3.750a1 1 0 0 1-1-1zM10 9v4.500M7.750 11.250h4.500",
  more: "M3.80 10a.7.7 0 1 0 1.4 0 .7.7 0 1 0-1.4 0M9.30 10a.7.7 0 1 0 1.4 0 .7.7 0 1 0-1.4 0M14.80 10a.7.7 0 1 0 1.4 0 .7.7 0 1 0-1.4 0",
  close: "M5 5l10 10M15 5 5 15",
  down: "M5.500 8 10 12.500 14.500 8",
  up: "M5.500 12.500 10 8l4.500 4.500",
  right: "M8 5.500 12.500 10 8 14.500",
  left: "M12 5.500 7.500 10 12 14.500",
  search: "M9 14.250a5.250 5.250 0 1 0 0-10.500 5.250 5.250 0 0 0 0 10.500zM13 13l3.750 3.750",
  refresh: "M16 10a6 6 0 1 1-1.800-4.300M16.250 3.500v3h-3",
  menu: "M3.500 5.500h13M3.500 10h13M3.500 14.500h13",
  copy: "M7.250 7.250h9v9h-9zM12.750 7V3.750h-9v9H7",
  share: "M13.500 7.500 17 10.700l-3.500 3.200M16.500 10.700H10c-3.500 0-6 2-6.500 5.300M11 4H4.750a1 1 0 0 0-1 1v6",
  link: "M8.500 11.500a3 3 0 0 0 4.300.1l2.500-2.500a3 3 0 0 0-4.200-4.300l-1 1M11.500 8.500a3 3 0 0 0-4.300-.1l-2.500 2.500a3 3 0 0 0 4.200 4.300l1-1",
  key: "M12.500 11.750a4.250 4.250 0 1 0-4-2.800L3.500 14v2.500H6v-2h2v-2l1.600-1.400a4.200 4.200 0 0 0 2.900.650zM13.700 6.500v.01",
  trash: "M4 6h12M8 6V4h4v2M5.500 6l.7 10h7.600l.7-10M8.500 9v4.500M11.500 9v4.500",
  pencil: "M4 16l.7-3.200L13.500 4a1.500 1.500 0 0 1 2.500 2.500l-8.800 8.800z",
  move: "M3.500 10h12M12 6l4 4-4 4",
  zip: "M5 2.750h10v14.500H5zM10 2.750v2M10 6.500v1.500M10 9.750v1.500M8.750 13h2.500v2h-2.500z",
  info: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 9.250V13.500M10 6.500v.01",
  warn: "M10 3.500 17.250 16H2.750zM10 8v4M10 14v.01",
  check: "M4.500 10.500 8.500 14.500 15.500 6",
  pause: "M7 5v10M13 5v10",
  play: "M6.500 4.750v10.500L15 10z",
  retry: "M4 10a6 6 0 1 0 1.800-4.300M3.750 3.500v3h3",
  theme: "M10 3.250a6.750 6.750 0 1 0 0 13.500zM10 3.250a6.750 6.750 0 0 1 0 13.500",
  expand: "M11.500 3.500h5v5M16.250 3.750 11.500 8.500M8.500 16.500h-5v-5M3.750 16.250 8.500 11.500",
  collapse: "M16.500 8.500h-5v-5M11.750 8.250 16.500 3.500M3.500 11.500h5v5M8.250 11.750 3.500 16.500",
  user: "M10 10a3.250 3.250 0 1 0 0-6.500A3.250 3.250 0 0 0 10 10zM3.500 16.500c.8-2.800 3.300-4.200 6.500-4.200s5.700 1.400 6.500 4.200",
  out: "M12 13.500V16H4V4h8v2.500M8.500 10H17M14 7l3 3-3 3",
  transfers: "M6.500 16V4.500M3.500 7.500l3-3 3 3M13.500 4v11.500M10.500 12.500l3 3 3-3",
  home: "M3.500 9 10 3.750 16.500 9v7.250h-4.250V11.500h-4.500v4.750H3.500z",
  keyboard: "M2.750 5.750h14.500v8.500H2.750zM5.500 8.500h.01M8.500 8.500h.01M11.500 8.500h.01M14.500 8.500h.01M6.500 11.500h7",
  history: "M3.750 10a6.250 6.250 0 1 1 2 4.600M3.500 15.500v-3h3M10 6.500V10l2.500 1.750",
  tag: "M3.500 3.500h6l7 7-6 6-7-7zM6.750 6.750v.01",
  lock: "M5 9h10v7.500H5zM7 9V6.500a3 3 0 0 1 6 0V9",
  restore: "M4 10a6 6 0 1 0 1.800-4.300M3.750 3.500v3h3M10 7v3.250l2 1.500",
  grid: "M3.750 3.750h5v5h-5zM11.250 3.750h5v5h-5zM3.750 11.250h5v5h-5zM11.250 11.250h5v5h-5z",
};

/** @param {{name: string, label?: string}} props An icon; with a label it is an image of that name, else decoration. */
export const Icon = ({ name, label }) => html`
  <svg class="icon" viewBox="0 0 20 20" aria-hidden=${label ? undefined : "true"} role=${label ? "img" : undefined} aria-label=${label}>
    <path d=${PATHS[name] ?? ""} />
  </svg>`;

const KINDS = {
  image: "png jpg jpeg gif webp avif svg bmp ico tif tiff heic",
  media: "mp3 wav ogg oga flac m4a aac opus mp4 webm mov mkv avi m4v ogv",
  pdf: "pdf",
  table: "csv tsv parquet xlsx xls ods arrow feather orc",
  archive: "zip gz tgz bz2 xz zst 7z rar tar jar whl",
  code: "js mjs ts tsx jsx py go rs java c h cpp hpp cs rb php sh bash sql html xml css json yaml yml toml ini kt swift scala lua pl r tf dockerfile ipynb",
  text: "txt md markdown log rst tex rtf doc docx odt",
};
/** @type {Map<string, string>} */
const BY_EXTENSION = new Map(Object.entries(KINDS).flatMap(([icon, list]) => list.split(" ").map((ext) => [ext, icon])));

/** Icon of a file by its extension: kinds differ by shape. @param {string} ext */
export const iconFor = (ext) => BY_EXTENSION.get(ext) ?? "file";

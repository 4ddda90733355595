/**
 * Keys as names: to URL paths and back, for display, for comparison. Pure.
 */

/** Keys with a "." or ".." segment: a browser normalises them away, even written as %2E. @param {string} key */
export const unaddressable = (key) => key.split("/").some((part) => part === "." || part === "..");

/** The key as path segments, each encoded by itself. @param {string} key */
export const encodeKey = (key) => key.split("/").map((part) => encodeURIComponent(part.toWellFormed())).join("/");

/** Path of an object on this host. @param {string} bucket @param {string} key */
export const objectPath = (bucket, key) => `/${encodeURIComponent(bucket)}/${encodeKey(key)}`;

/** "a/b/c.txt" → "a/b/", "a/b/" → "a/". @param {string} key */
export function parent(key) {
  const bare = key.endsWith("/") ? key.slice(0, -1) : key;
  return bare.slice(0, bare.lastIndexOf("/") + 1);
}

/** Last segment, with its slash where the key is a prefix. @param {string} key */
export const base = (key) => key.slice(parent(key).length);

/** "q3.tar.gz" → ["q3.tar", ".gz"]; dot files have no extension. @param {string} name */
export function split(name) {
  const slash = name.endsWith("/") ? "/" : "";
  const bare = slash ? name.slice(0, -1) : name;
  const dot = bare.lastIndexOf(".");
  return dot > 0 && !slash ? [bare.slice(0, dot), bare.slice(dot)] : [bare, slash];
}

/** Extension in lower case without the dot. @param {string} name */
export const extension = (name) => split(base(name))[1].slice(1).toLowerCase();

/** The next free name: "a.txt" → "a (2).txt". @param {string} name @param {(name: string) => boolean} taken */
export function another(name, taken) {
  const [stem, tail] = split(name);
  for (let n = 2; ; n += 1) {
    const candidate = `${stem} (${n})${tail}`;
    if (!taken(candidate)) return candidate;
  }
}

// Characters that draw nothing, draw elsewhere or turn the direction of what follows.
// A joiner between two pictographs or two Arabic letters is how these are spelled: 👩‍🔬.
const HIDDEN = /(?<![\p{ExtPict}\p{EMod}\ufe0f\p{sc=Arab}])[\u200c\u200d]|[\u200c\u200d](?![\p{ExtPict}\p{sc=Arab}])|[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb\ud800-\udfff]/gu;
const EDGES = /^ +| +$/g;

/** A name as it is drawn: nothing in it is invisible. @param {string} name */
export const display = (name) =>
  name
    .replace(EDGES, (blanks) => "␠".repeat(blanks.length))
    .replace(HIDDEN, (mark) => `⟨U+${mark.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0")}⟩`);

/** Order of S3: by UTF-8 bytes, which is by code point. @param {string} a @param {string} b */
export function compare(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      // UTF-16 puts astral characters (surrogates) below U+E000..U+FFFF; UTF-8 does not.
      const sx = x >= 0xd800 && x <= 0xdfff;
      const sy = y >= 0xd800 && y <= 0xdfff;
      return sx === sy ? x - y : sx ? 1 : -1;
    }
  }
  return a.length - b.length;
}

/** @param {string} bucket @param {string} key */
export const s3uri = (bucket, key) => `s3://${bucket}/${key}`;

/** What a person typed as a place: `name`, `bucket/prefix`, `s3://bucket/prefix`. @param {string} text @param {(bucket: string) => boolean} known */
export function typedPlace(text, known) {
  const bare = text.trim().replace(/^s3:\/\//i, "").replace(/^\/+/, "");
  const slash = bare.indexOf("/");
  const bucket = slash < 0 ? bare : bare.slice(0, slash);
  if (!known(bucket)) return null;
  return { bucket, key: slash < 0 ? "" : bare.slice(slash + 1) };
}

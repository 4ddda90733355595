/**
 * Tables in text: RFC 4180 with any delimiter. Pure.
 */
export const DELIMITERS = [",", ";", "\t", "|"];

/** Rows of fields, at most `limit` rows. Quotes may hold delimiters and line breaks. @param {string} text @param {string} delimiter @param {number} limit @returns {string[][]} */
export function parse(text, delimiter, limit = Infinity) {
  /** @type {string[][]} */
  const rows = [];
  let row = [];
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  while (at < text.length && rows.length < limit) {
    let field = "";
    if (text[at] === '"') {
      for (;;) {
        const end = text.indexOf('"', at + 1);
        if (end < 0) {
          field += text.slice(at + 1);
          at = text.length;
          break;
        }
        field += text.slice(at + 1, end);
        at = end + 1;
        if (text[at] !== '"') break;
        field += '"';
      }
    }
    const stop = next(text, at, delimiter);
    field += text.slice(at, stop);
    row.push(field);
    at = stop;
    if (text[at] === delimiter) {
      at += 1;
      if (at === text.length) row.push("");
      if (at < text.length) continue;
    }
    if (text[at] === "\r") at += 1;
    if (text[at] === "\n") at += 1;
    rows.push(row);
    row = [];
  }
  return rows;
}

/** Where a bare field ends. @param {string} text @param {number} at @param {string} delimiter */
function next(text, at, delimiter) {
  for (; at < text.length; at += 1) {
    const char = text[at];
    if (char === delimiter || char === "\n" || char === "\r") return at;
  }
  return at;
}

/** The delimiter that cuts the first rows into most, equally many fields. @param {string} text */
export function guess(text) {
  const sample = text.slice(0, 20_000);
  let best = ",";
  let most = 1;
  for (const delimiter of DELIMITERS) {
    const rows = parse(sample, delimiter, 20);
    const wide = rows[0]?.length ?? 0;
    const even = rows.slice(0, -1).filter((row) => row.length === wide).length / Math.max(1, rows.length - 1);
    if (wide > 1 && wide * even > most) {
      most = wide * even;
      best = delimiter;
    }
  }
  return best;
}

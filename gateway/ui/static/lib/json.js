/**
 * JSON as a tree that keeps numbers as they are written. Pure.
 *
 * JSON.parse would round 12345678901234567890; here a number stays its text.
 */

/** @typedef {{kind: "object", entries: [string, Node][]} | {kind: "array", items: Node[]} | {kind: "string" | "number" | "word", text: string}} Node */

/** A fault, and where it is. */
export class Fault extends Error {
  /** @param {string} message @param {number} at offset in the text @param {string} text */
  constructor(message, at, text) {
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    super(`${message} at line ${line}, column ${column}`);
    this.at = at;
  }
}

const BLANK = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORD = /true|false|null/y;
const DEEPEST = 400; // levels; deeper documents would overflow the stack

/** @param {string} text @returns {Node} Throws Fault. */
export function parse(text) {
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  const match = (/** @type {RegExp} */ pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) return null;
    at = pattern.lastIndex;
    return found[0];
  };
  const need = (/** @type {string} */ char) => {
    match(BLANK);
    if (text[at] !== char) throw new Fault(`Expected “${char}”`, at, text);
    at += 1;
  };
  /** @param {number} depth @returns {Node} */
  const value = (depth) => {
    match(BLANK);
    if (depth > DEEPEST) throw new Fault("Nested too deep", at, text);
    const char = text[at];
    if (char === "{") return object(depth);
    if (char === "[") return array(depth);
    if (char === '"') return { kind: "string", text: string() };
    const number = match(NUMBER);
    if (number) return { kind: "number", text: number };
    const word = match(WORD);
    if (word) return { kind: "word", text: word };
    throw new Fault(at >= text.length ? "The text ends" : `Unexpected “${char}”`, at, text);
  };
  const string = () => {
    const quoted = match(STRING);
    if (!quoted) throw new Fault("A string is not closed or holds a bad character", at, text);
    return JSON.parse(quoted);
  };
  /** @param {number} depth @returns {Node} */
  const object = (depth) => {
    at += 1;
    /** @type {[string, Node][]} */
    const entries = [];
    match(BLANK);
    if (text[at] === "}") {
      at += 1;
      return { kind: "object", entries };
    }
    for (;;) {
      match(BLANK);
      const key = string();
      need(":");
      entries.push([key, value(depth + 1)]);
      match(BLANK);
      if (text[at] === ",") at += 1;
      else break;
    }
    need("}");
    return { kind: "object", entries };
  };
  /** @param {number} depth @returns {Node} */
  const array = (depth) => {
    at += 1;
    /** @type {Node[]} */
    const items = [];
    match(BLANK);
    if (text[at] === "]") {
      at += 1;
      return { kind: "array", items };
    }
    for (;;) {
      items.push(value(depth + 1));
      match(BLANK);
      if (text[at] === ",") at += 1;
      else break;
    }
    need("]");
    return { kind: "array", items };
  };
  const root = value(0);
  match(BLANK);
  if (at < text.length) throw new Fault("More follows after the end", at, text);
  return root;
}

/**
 * Where the person stands: URL to place and back. The only user of the browser's history.
 */
import { signal } from "../lib/dom.js";
import { encodeKey, parent, unaddressable } from "../s3/names.js";

/**
 * @typedef {object} Place
 * @property {"locations" | "browse" | "keys" | "shares"} page
 * @property {string} bucket
 * @property {string} prefix empty, or ends in a slash
 * @property {string} open key of the object whose pane is open; ""
 * @property {string} starts names that begin so
 * @property {"" | "full"} view
 * @property {string} sort "", "name", "-name", "size" …
 * @property {string} filter
 */

/** @type {Place} */
const NOWHERE = { page: "locations", bucket: "", prefix: "", open: "", starts: "", view: "", sort: "", filter: "" };

/** @param {Partial<Place>} change @returns {Place} */
export const at = (change) => ({ ...NOWHERE, ...change });
/** @param {string} bucket @param {string} [prefix] */
export const browse = (bucket, prefix = "") => at({ page: "browse", bucket, prefix });
/** @param {string} bucket @param {string} key An object in its parent's list. */
export const object = (bucket, key) => at({ page: "browse", bucket, prefix: parent(key), open: key });

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {string} pathname @param {string} search @returns {Place} */
export function parse(pathname, search) {
  const query = new URLSearchParams(search);
  if (pathname === "/ui/keys") return at({ page: "keys" });
  if (pathname === "/ui/shares") return at({ page: "shares" });
  if (!pathname.startsWith("/ui/b/")) return at({});
  const [bucket, ...rest] = pathname.slice("/ui/b/".length).split("/").map(decoded);
  if (!bucket) return at({});
  const key = query.get("at") ?? rest.join("/");
  const prefix = key === "" || key.endsWith("/") ? key : parent(key);
  return at({
    page: "browse",
    bucket,
    prefix,
    open: key === prefix ? "" : key,
    starts: query.get("starts") ?? "",
    view: query.get("view") === "full" ? "full" : "",
    sort: query.get("sort") ?? "",
    filter: query.get("filter") ?? "",
  });
}

/** @param {Place} place @returns {string} */
export function href(place) {
  if (place.page === "keys") return "/ui/keys";
  if (place.page === "shares") return "/ui/shares";
  if (place.page === "locations") return "/ui/";
  const query = new URLSearchParams();
  const key = place.open || place.prefix;
  let path = `/ui/b/${encodeURIComponent(place.bucket)}/`;
  if (unaddressable(key)) query.set("at", key);
  else path += encodeKey(key);
  for (const name of /** @type {const} */ (["starts", "view", "sort", "filter"])) if (place[name]) query.set(name, place[name]);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export const place = signal(parse(location.pathname, location.search));
/** What was kept with the history entry that is shown now: scroll offset, focused name. @type {import("../lib/dom.js").Signal<Record<string, any>>} */
export const kept = signal(history.state ?? {});

/** What the shown place wants to find again: the list sets it. */
export const memory = { facts: () => /** @type {Record<string, unknown>} */ ({}) };

/** @param {Place} next @param {{replace?: boolean, state?: Record<string, unknown>}} [options] */
export function go(next, { replace = false, state } = {}) {
  const url = href(next);
  if (replace) history.replaceState(state ?? history.state, "", url);
  else if (url !== location.pathname + location.search) {
    save(memory.facts());
    history.pushState(state ?? {}, "", url);
  }
  if (!replace) kept.value = state ?? {};
  place.value = next;
}

/** Changes some members of the place: the list stays where it is. @param {Partial<Place>} change @param {{replace?: boolean}} [options] */
export const adjust = (change, { replace = false } = {}) => go({ ...place.peek(), ...change }, { replace, state: replace ? undefined : memory.facts() });

/** Keeps facts with the present history entry. @param {Record<string, unknown>} facts */
export const save = (facts) => history.replaceState({ ...history.state, ...facts }, "");

addEventListener("popstate", (event) => {
  kept.value = event.state ?? {};
  place.value = parse(location.pathname, location.search);
});

/** Click handler of links within the page: plain clicks stay here, others are the browser's. @param {Place} target */
export const link = (target) => ({
  href: href(target),
  onClick: (/** @type {MouseEvent} */ event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(target);
  },
});

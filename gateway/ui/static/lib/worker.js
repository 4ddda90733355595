/**
 * Workers of this page: the one place that makes script URLs, from a literal list.
 */
const URLS = { order: new URL("../model/order.worker.js", import.meta.url).href };

/** @type {{createScriptURL: (name: string) => any}} */
const policy = /** @type {any} */ (window).trustedTypes?.createPolicy("gateway", {
  createScriptURL(/** @type {string} */ name) {
    if (!Object.hasOwn(URLS, name)) throw new TypeError(`${name} is no worker of this page`);
    return URLS[/** @type {keyof typeof URLS} */ (name)];
  },
}) ?? { createScriptURL: (name) => URLS[/** @type {keyof typeof URLS} */ (name)] };

/** @param {keyof typeof URLS} name */
export const worker = (name) => new Worker(policy.createScriptURL(name), { type: "module" });

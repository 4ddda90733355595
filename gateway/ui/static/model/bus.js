/**
 * What the tabs of one browser tell each other: signed in, signed out, a prefix changed.
 */

/** @typedef {{kind: "signed-in"} | {kind: "signed-out"} | {kind: "changed", bucket: string, prefix: string} | {kind: "claimed", id: string}} Message */

const channel = new BroadcastChannel("gateway");
/** @type {Map<string, Set<(message: any) => void>>} */
const listeners = new Map();

channel.onmessage = (/** @type {MessageEvent} */ { data }) => {
  for (const listener of listeners.get(data?.kind) ?? []) listener(data);
};

/** Tells the other tabs. @param {Message} message */
export const tell = (message) => channel.postMessage(message);

/** @param {Message["kind"]} kind @param {(message: any) => void} listener */
export function heard(kind, listener) {
  const set = listeners.get(kind) ?? new Set();
  listeners.set(kind, set);
  set.add(listener);
  return () => set.delete(listener);
}

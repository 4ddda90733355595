/**
 * Sorts long lists away from the page's thread.
 */
import { sorted } from "./order.js";

self.onmessage = ({ data: { id, indices, columns, sort } }) => {
  const result = sorted(indices, columns, sort);
  self.postMessage({ id, result }, { transfer: [result.buffer] });
};

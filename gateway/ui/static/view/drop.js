/**
 * Drops: files from the desktop are uploaded, rows are moved (Ctrl copies).
 */
import { missing } from "../model/session.js";
import { add } from "../upload/board.js";
import { fromTransfer } from "../upload/sources.js";
import { work } from "./actions.js";
import { toast } from "./toasts.js";

export const ROWS = "application/x-gateway-rows";

/** Handlers of something that rows or files can be dropped on. @param {() => {bucket: string, prefix: string} | null} target */
export function dropTarget(target) {
  return {
    onDragOver: (/** @type {DragEvent} */ event) => {
      const data = event.dataTransfer;
      if (!data || !target() || !(data.types.includes("Files") || data.types.includes(ROWS))) return;
      event.preventDefault();
      event.stopPropagation();
      data.dropEffect = data.types.includes(ROWS) && !event.ctrlKey ? "move" : "copy";
      /** @type {Element} */ (event.currentTarget).classList.add("dropping");
    },
    onDragLeave: (/** @type {DragEvent} */ event) => /** @type {Element} */ (event.currentTarget).classList.remove("dropping"),
    onDrop: (/** @type {DragEvent} */ event) => {
      /** @type {Element} */ (event.currentTarget).classList.remove("dropping");
      const place = target();
      const data = event.dataTransfer;
      if (!place || !data) return;
      event.preventDefault();
      event.stopPropagation();
      if (data.types.includes(ROWS)) work("bring", event.ctrlKey ? "copy" : "move", JSON.parse(data.getData(ROWS)), place.bucket, place.prefix);
      else {
        const words = missing("write", place.bucket, place.prefix);
        if (words) toast(words, { kind: "error" });
        else add(place.bucket, place.prefix, fromTransfer(data));
      }
    },
  };
}

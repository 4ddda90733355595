/**
 * Numbers, sizes, dates and durations as people read them. Pure.
 */
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const numbers = new Intl.NumberFormat("en");
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const moments = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const clocks = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** 1204 → "1 204", grouped by a narrow blank that does not break. @param {number} value */
export const count = (value) => numbers.format(value).replaceAll(",", "\u202f");

/** "1 item", "12 items". @param {number} value @param {string} one @param {string} [many] */
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** Three digits in IEC units: 7.31 MiB, 53.7 KiB, 120 B. @param {number} bytes */
export function size(bytes) {
  if (!Number.isFinite(bytes)) return "";
  let value = bytes;
  let unit = 0;
  // 1023.5 would be shown as "1 024 KiB": go on to the next unit where rounding reaches it.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return `${value} B`;
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** "7 664 102 bytes". @param {number} bytes */
export const exact = (bytes) => plural(bytes, "byte");

/** @param {number} bytesPerSecond */
export const speed = (bytesPerSecond) => `${size(Math.round(bytesPerSecond))}/s`;

/** Day in the reader's zone; "" where there is none. @param {number|string|Date} when */
export const day = (when) => (valid(when) ? days.format(new Date(when)) : "");

/** Day and minute in the reader's zone. @param {number|string|Date} when */
export const moment = (when) => (valid(when) ? moments.format(new Date(when)) : "");

/** Hour and minute in the reader's zone. @param {number|string|Date} when */
export const clock = (when) => (valid(when) ? clocks.format(new Date(when)) : "");

/** UTC, exact, for titles. @param {number|string|Date} when */
export const iso = (when) => (valid(when) ? new Date(when).toISOString() : "");

/** @param {unknown} when */
const valid = (when) => when !== null && when !== undefined && when !== "" && !Number.isNaN(new Date(/** @type {number} */ (when)).getTime());

/** Time left, rounded so that it does not flicker: "20 s", "1 min", "2 h". @param {number} seconds */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 50) return `${Math.max(5, Math.ceil(seconds / 5) * 5)} s`;
  if (seconds < 3300) return `${Math.max(1, Math.round(seconds / 60))} min`;
  return `${Math.max(1, Math.round(seconds / 3600))} h`;
}

/** 0.312 → "31 %". @param {number} part */
export const percent = (part) => `${Math.floor(Math.min(1, Math.max(0, part)) * 100)} %`;

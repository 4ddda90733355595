/**
 * Banners: what happened, what can be done, the request id and the details to copy.
 */
import { html, useEffect, useState } from "../lib/dom.js";
import { Icon } from "../lib/icons.js";
import { cry } from "../lib/announce.js";
import { text } from "../lib/text.js";
import { held, who } from "../model/session.js";
import { place } from "../model/place.js";
import { Copy } from "./copy.js";

/** What an administrator needs to answer "why?". @param {import("../s3/send.js").Failure} failure @param {string} [action] */
export function details(failure, action = "") {
  const person = who.peek();
  const { bucket, prefix, open } = place.peek();
  return [
    ["Time", failure.when?.toISOString() ?? new Date().toISOString()],
    ["Subject", person?.subject],
    ["Issuer", person?.issuer],
    ["Groups", person?.groups?.join(", ")],
    ["Action", action],
    ["Place", bucket && `s3://${bucket}/${open || prefix}`],
    ["Code", [failure.status || "", failure.code].filter(Boolean).join(" ")],
    ["Message", failure.message],
    ["Request", failure.requestId],
  ]
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

/** @param {{kind?: "error" | "warn" | "info" | "ok", icon?: string, children?: any, actions?: any}} props */
export const Banner = ({ kind = "info", icon, children, actions }) => html`
  <div class=${`banner ${kind}`} role=${kind === "error" ? undefined : "note"}>
    <${Icon} name=${icon ?? (kind === "info" ? "info" : kind === "ok" ? "check" : "warn")} />
    <div class="grow">${children}</div>
    ${actions && html`<div class="actions">${actions}</div>`}
  </div>
`;

/** The sentence for a refusal. @param {import("../s3/send.js").Failure} failure @param {{verb?: string, bucket?: string, prefix?: string}} [context] */
export function sentence(failure, { bucket = "", prefix = "" } = {}) {
  if (failure.status === 0) return "The server did not answer. Check the connection.";
  if (failure.status === 403 && bucket) return `${failure.message}${held(bucket, prefix)}`;
  return failure.message;
}

/** Code and request id, as an administrator searches for them. @param {{failure: import("../s3/send.js").Failure}} props */
const Ids = ({ failure }) => html`<p class="small muted">${failure.code}${failure.requestId && html` · request <code class="id">${failure.requestId}</code>`}</p>`;

/**
 * A refusal, where it happened.
 * @param {{failure: import("../s3/send.js").Failure, message?: any, action?: string, bucket?: string, prefix?: string, actions?: any}} props
 */
export function Problem({ failure, message, action, bucket, prefix, actions }) {
  const words = message ?? sentence(failure, { bucket, prefix });
  useEffect(() => {
    cry(typeof words === "string" ? words : failure.message);
  }, [failure]);
  return html`
    <${Banner} kind="error" actions=${html`${actions}<${Copy} text=${details(failure, action)} words="Copy details" />`}>
      <p>${words}</p>
      <${Ids} failure=${failure} />
    <//>
  `;
}

/** Counts down to the next try. @param {{failure: import("../s3/send.js").Failure, until: number, slow: boolean, now: () => void}} props */
export function Countdown({ failure, until, slow, now }) {
  const [, again] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => again((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
  return html`
    <${Banner} kind="warn" actions=${html`<button class="button" onClick=${now}>Try now</button><${Copy} text=${details(failure, "s3:ListBucket")} words="Copy details" />`}>
      <p>${slow ? text.slow(seconds) : text.away(seconds)}</p>
      <${Ids} failure=${failure} />
    <//>
  `;
}

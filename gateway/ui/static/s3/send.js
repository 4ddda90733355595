/**
 * One HTTP request to this host: headers, progress, abort, and refusals as one type of failure.
 *
 * XMLHttpRequest, since it reports upload progress and parses XML without DOMParser (a Trusted
 * Types sink). The proof of same origin that changes need (UIS-5) is added here and nowhere else.
 */

/**
 * A request that was refused or got no answer.
 * `status` is 0 where no answer came; `code` is the S3 code or the problem's code.
 */
export class Failure extends Error {
  /** @param {{status: number, code: string, message: string, requestId?: string, retryAfter?: number, detail?: Record<string, unknown>}} facts */
  constructor(facts) {
    super(facts.message);
    this.name = "Failure";
    this.status = facts.status;
    this.code = facts.code;
    this.requestId = facts.requestId ?? "";
    /** Seconds the server asks to wait; 0 where it says nothing. */
    this.retryAfter = facts.retryAfter ?? 0;
    this.detail = facts.detail ?? {};
    this.when = new Date();
  }

  /** Whether the same request may succeed later without anybody changing anything. */
  get transient() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500 && this.status !== 501;
  }
}

/** What happened, for those who react to it everywhere: the session module sets these. */
export const hooks = {
  /** @type {(failure: Failure) => void} */
  refused: () => {},
  /** @type {(requestId: string, release: string) => void} */
  answered: () => {},
};

const SAFE = new Set(["GET", "HEAD"]);

/** @typedef {{status: number, header: (name: string) => string, all: () => [string, string][], body: any}} Reply */

/** @param {string} lines @returns {[string, string][]} */
const pairs = (lines) =>
  lines
    .trim()
    .split("\r\n")
    .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]);

/**
 * @param {{method?: string, url: string, headers?: Record<string, string>, body?: XMLHttpRequestBodyInit | null,
 *   as?: XMLHttpRequestResponseType, signal?: AbortSignal, progress?: (sent: number) => void, timeout?: number,
 *   quiet?: boolean}} request `quiet`: the hooks do not hear of a refusal.
 * @returns {Promise<Reply>}
 */
export function send({ method = "GET", url, headers = {}, body = null, as = "text", signal, progress, timeout = 0, quiet = false }) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted());
      return;
    }
    const xhr = new XMLHttpRequest();
    xhr.open(method, url);
    xhr.responseType = as;
    xhr.timeout = timeout;
    if (!SAFE.has(method)) xhr.setRequestHeader("X-Gateway-CSRF", "1");
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    const stop = () => xhr.abort();
    signal?.addEventListener("abort", stop, { once: true });
    const over = () => signal?.removeEventListener("abort", stop);

    xhr.onreadystatechange = () => {
      // An error has another type than the answer that was asked for.
      if (xhr.readyState === XMLHttpRequest.HEADERS_RECEIVED && xhr.status >= 400) {
        const type = xhr.getResponseHeader("content-type") ?? "";
        xhr.responseType = type.includes("xml") ? "document" : type.includes("json") ? "json" : "text";
      }
    };
    if (progress) xhr.upload.onprogress = (event) => progress(event.loaded);
    xhr.onload = () => {
      over();
      const header = (/** @type {string} */ name) => xhr.getResponseHeader(name) ?? "";
      hooks.answered(header("x-amz-request-id"), header("x-gateway-release"));
      const failure = xhr.status >= 400 ? refusal(xhr.status, header, xhr.response) : errorInSuccess(xhr);
      if (!failure) {
        resolve({ status: xhr.status, header, all: () => pairs(xhr.getAllResponseHeaders()), body: xhr.response });
        return;
      }
      if (!quiet) hooks.refused(failure);
      reject(failure);
    };
    const unanswered = () => {
      over();
      const failure = new Failure({ status: 0, code: "NoAnswer", message: "The connection was cut before an answer came." });
      if (!quiet) hooks.refused(failure);
      reject(failure);
    };
    xhr.onerror = unanswered;
    xhr.ontimeout = unanswered;
    xhr.onabort = () => {
      over();
      reject(aborted());
    };
    xhr.send(body);
  });
}

/** Bytes as they come, for what must be stopped at a limit. @param {string} url @param {{signal?: AbortSignal, headers?: Record<string, string>}} [options] @returns {Promise<Response>} */
export async function stream(url, { signal, headers } = {}) {
  let response;
  try {
    response = await fetch(url, { signal, headers });
  } catch (error) {
    if (signal?.aborted) throw aborted();
    throw new Failure({ status: 0, code: "NoAnswer", message: "The connection was cut before an answer came." });
  }
  if (response.ok) return response;
  const text = await response.text();
  const failure = refusal(response.status, (name) => response.headers.get(name) ?? "", text);
  hooks.refused(failure);
  throw failure;
}

export const aborted = () => new DOMException("Stopped", "AbortError");
/** @param {unknown} error */
export const isAbort = (error) => error instanceof DOMException && error.name === "AbortError";

/** @param {number} status @param {(name: string) => string} header @param {unknown} body */
function refusal(status, header, body) {
  const facts = { status, ...described(body), retryAfter: seconds(header("retry-after")) };
  return new Failure({
    ...facts,
    code: facts.code || String(status),
    message: facts.message || `The server answered ${status}.`,
    requestId: facts.requestId || header("x-amz-request-id"),
  });
}

/** S3 answers some failures with 200 and an <Error> body. @param {XMLHttpRequest} xhr */
function errorInSuccess(xhr) {
  const root = xhr.responseType === "document" ? xhr.responseXML?.documentElement : null;
  if (root?.localName !== "Error") return null;
  return new Failure({ status: 500, ...described(xhr.responseXML), requestId: xhr.getResponseHeader("x-amz-request-id") ?? "" });
}

/** Code, message and request id of an error body: S3 XML, its text, or problem+json. @param {unknown} body */
function described(body) {
  if (body instanceof Document) {
    const text = (/** @type {string} */ name) => body.getElementsByTagName(name)[0]?.textContent ?? "";
    return { code: text("Code"), message: text("Message"), requestId: text("RequestId"), detail: {} };
  }
  if (typeof body === "string") {
    const text = (/** @type {string} */ name) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1] ?? "";
    return { code: text("Code"), message: unescaped(text("Message")), requestId: text("RequestId"), detail: {} };
  }
  const problem = /** @type {Record<string, any>} */ (body ?? {});
  return {
    code: String(problem.code ?? problem.Code ?? problem.reason ?? problem.title ?? ""),
    message: String(problem.detail ?? problem.Message ?? problem.title ?? ""),
    requestId: String(problem.request_id ?? problem.RequestId ?? ""),
    detail: problem,
  };
}

/** @param {string} text */
const unescaped = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&amp;", "&");

/** @param {string} value Retry-After: seconds, or a date. */
function seconds(value) {
  if (!value) return 0;
  const number = Number(value);
  return Number.isFinite(number) ? number : Math.max(0, (Date.parse(value) - Date.now()) / 1000) || 0;
}

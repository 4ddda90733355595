/**
 * The tray: uploads and jobs, docked below, kept across navigation. A virtual list of one row a file.
 */
import { cls, computed, html, signal, style, useEffect, useRef, useSignal } from "../lib/dom.js";
import { cry, say } from "../lib/announce.js";
import { count, exact, percent, plural, size } from "../lib/format.js";
import { Icon } from "../lib/icons.js";
import { PHASES, text } from "../lib/text.js";
import * as jobs from "../model/jobs.js";
import { base, display } from "../s3/names.js";
import { ENDED, RUNNING } from "../upload/machine.js";
import { conflicts, pace, phases, sentTotal, share, summary, uploads } from "../upload/board.js";
import { again, cancelAll, choose, clearEnded, decide, dispatch, leftOutNames, pauseAll, report, resumeAll, retryFailed } from "../upload/queue.js";
import { Copy } from "./copy.js";
import { Conflict } from "./dialogs/conflict.js";
import { toast } from "./toasts.js";

await style("tray");

const open = signal(false);
const only = signal(/** @type {"all" | "failed" | "decision"} */ ("all"));
const ROW = 44; // px, as the style sheet has it

/** @typedef {import("../upload/queue.js").Upload} Upload */

/** @param {{part: number, label: string, kind?: string}} props */
const Bar = ({ part, label, kind = "" }) => html`
  <div class=${`bar ${kind}`} role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.floor(part * 100)}><div style=${{ transform: `scaleX(${part})` }}></div></div>
`;

/** @param {{icon: string, label: string, run: () => void}} props */
const Control = ({ icon, label, run }) => html`<button class="icon-button small" aria-label=${label} title=${label} onClick=${run}><${Icon} name=${icon} /></button>`;

/** Goes on with the file that the browser still knows; else it has to be chosen. @param {Upload} upload */
async function goOn(upload) {
  const file = await again(upload);
  if (!file) {
    pickSame(upload);
    return;
  }
  const words = await choose(upload, file);
  if (words) toast(words, { kind: "error" });
}

/** @param {Upload} upload */
function pickSame(upload) {
  const input = document.createElement("input");
  input.type = "file";
  input.className = "picker";
  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    input.remove();
    const words = file ? await choose(upload, file) : "";
    if (words) toast(words, { kind: "error" });
  });
  document.body.append(input);
  input.click();
}

const KIND = /** @type {Record<string, string>} */ ({ failed: "error", done: "ok", paused: "warn", retrying: "warn", orphaned: "warn", conflict: "warn" });

/** @param {{upload: Upload, top: number}} props */
function UploadRow({ upload, top }) {
  const { phase, by, reason } = upload.state.value;
  const sent = upload.sent.value;
  const name = display(base(upload.key));
  const part = upload.size ? sent / upload.size : phase === "done" ? 1 : 0;
  const send = (/** @type {any} */ event) => () => dispatch(upload, event);
  const why = phase === "paused" && by === "session" ? "Paused: session ended" : phase === "paused" && by === "offline" ? "Paused: offline" : phase === "paused" && by === "owner" ? "Waits for its owner" : PHASES[phase];
  return html`
    <li class=${cls("transfer", KIND[phase])} style=${{ transform: `translateY(${top}px)` }} data-phase=${phase}>
      <${Icon} name=${phase === "done" ? "check" : KIND[phase] ? "warn" : "upload"} />
      <span class="what"><bdi>${name}</bdi><span class="muted"> → ${upload.bucket}/<bdi>${display(upload.key.slice(0, upload.key.length - base(upload.key).length))}</bdi></span></span>
      <span class="state">${reason && phase !== "done" ? reason : why}</span>
      ${RUNNING.has(phase) || phase === "paused" ? html`<${Bar} part=${part} label=${`${name}: ${percent(part)}`} kind=${KIND[phase]} />` : html`<span></span>`}
      <span class="num bytes" title=${exact(upload.size)}>${ENDED.has(phase) || phase === "orphaned" ? size(upload.size) : `${percent(part)} of ${size(upload.size)}`}</span>
      <span class="controls">
        ${["waiting", "checking", "uploading", "completing", "retrying"].includes(phase) && html`<${Control} icon="pause" label=${`Pause ${name}`} run=${send({ type: "pause", by: "person" })} />`}
        ${phase === "paused" && by !== "owner" && html`<${Control} icon="play" label=${`Resume ${name}`} run=${send({ type: "resume", by: "person" })} />`}
        ${(phase === "failed" || phase === "cancelled") && upload.file && html`<${Control} icon="retry" label=${`Retry ${name}`} run=${send({ type: "retry" })} />`}
        ${phase === "orphaned" && html`<button class="button small" onClick=${() => goOn(upload)}>${upload.handle ? "Resume" : "Choose file"}</button>`}
        ${!ENDED.has(phase) && html`<${Control} icon="close" label=${`Cancel ${name}`} run=${send({ type: "cancel" })} />`}
      </span>
    </li>
  `;
}

/** What a job says of itself. @param {jobs.Progress} progress @param {jobs.Order} order */
function jobWords(progress, order) {
  const { state, counted, done, failures, skipped } = progress;
  const past = { copy: "copied", move: "moved", rename: "renamed", delete: "deleted" }[order.operation];
  const lost = failures ? `, ${count(failures)} failed` : "";
  const left = skipped ? `, ${count(skipped)} skipped` : "";
  if (state === "counting") return `Counting… ${plural(counted.objects, "object")}`;
  if (state === "running") return `${count(done.objects)}${counted.complete ? ` of ${count(counted.objects)}` : ""} ${past}${lost}`;
  if (state === "cancelled") return `Cancelled after ${plural(done.objects, "object")}`;
  if (state === "interrupted") return "Interrupted: the server that ran it is gone";
  const safe = failures && order.operation !== "copy" && order.operation !== "delete" ? "; nothing was deleted that was not copied and checked" : "";
  return `${count(done.objects)} ${past}${left}${lost}${safe}.`;
}

/** @param {{job: jobs.Job, top: number}} props */
function JobRow({ job, top }) {
  const progress = job.progress.value;
  const { counted, done, failed, state } = progress;
  const bytes = job.order.operation !== "delete" && counted.bytes > 0;
  const part = state === "done" ? 1 : bytes ? done.bytes / counted.bytes : counted.objects ? done.objects / counted.objects : 0;
  const kind = state === "failed" || failed.length ? "error" : state === "done" ? "ok" : "";
  const showFailed = async () => {
    const [{ ask }, { Failed }] = await Promise.all([import("./dialogs/dialog.js"), import("./dialogs/failed.js")]);
    if (await ask(Failed, { title: jobWords(progress, job.order), failed, retry: true })) jobs.retryFailed(job).catch((error) => toast(error.message, { kind: "error" }));
  };
  return html`
    <li class=${cls("transfer", kind)} style=${{ transform: `translateY(${top}px)` }} data-phase=${state} data-job=${job.id}>
      <${Icon} name=${kind === "ok" ? "check" : kind ? "warn" : job.order.operation === "delete" ? "trash" : "move"} />
      <span class="what"><bdi>${display(job.label)}</bdi></span>
      <span class="state">${job.failure.value ? "The server does not answer. Trying again…" : jobWords(progress, job.order)}</span>
      ${job.over ? html`<span></span>` : html`<${Bar} part=${Math.min(1, part)} label=${`${job.label}: ${percent(part)}`} />`}
      <span class="num bytes">${bytes ? `${size(done.bytes)} of ${size(counted.bytes)}` : ""}</span>
      <span class="controls">
        ${failed.length > 0 && html`<button class="button small" onClick=${showFailed}>Show</button>`}
        ${job.over ? html`<${Control} icon="close" label=${`Dismiss ${job.label}`} run=${() => jobs.dismiss(job)} />` : html`<${Control} icon="close" label=${`Cancel ${job.label}`} run=${() => jobs.cancel(job)} />`}
      </span>
    </li>
  `;
}

/** Rows that the chosen filter shows. */
const rows = computed(() => {
  phases.value;
  const wanted = only.value;
  const files = uploads.value.filter((upload) => {
    const { phase } = upload;
    if (wanted === "failed") return phase === "failed";
    if (wanted === "decision") return phase === "conflict" || phase === "orphaned";
    return true;
  });
  const work = jobs.jobs.value.filter((job) => wanted === "all" || (wanted === "failed" && job.progress.value.failed.length > 0));
  return [...work, ...files];
});

function TransferList() {
  const node = useRef(/** @type {HTMLElement | null} */ (null));
  const top = useSignal(0);
  const height = useSignal(220);
  useEffect(() => {
    const watch = new ResizeObserver(() => (height.value = node.current?.clientHeight ?? 220));
    watch.observe(/** @type {HTMLElement} */ (node.current));
    return () => watch.disconnect();
  }, []);
  const list = rows.value;
  const first = Math.max(0, Math.floor(top.value / ROW) - 4);
  const last = Math.min(list.length, Math.ceil((top.value + height.value) / ROW) + 4);
  return html`
    <div class="transfers" ref=${node} onScroll=${(/** @type {any} */ event) => (top.value = event.currentTarget.scrollTop)}>
      <ul style=${{ height: `${list.length * ROW}px` }}>
        ${list.slice(first, last).map((row, i) => (row instanceof jobs.Job ? html`<${JobRow} key=${row.id} job=${row} top=${(first + i) * ROW} />` : html`<${UploadRow} key=${row.id} upload=${row} top=${(first + i) * ROW} />`))}
      </ul>
    </div>
  `;
}

/** The one line of the closed tray. */
function headline() {
  const { all, done, failed, running, paused, conflict, orphaned, bytes } = summary.value;
  const work = jobs.jobs.value;
  const going = work.filter((job) => !job.over).length;
  const parts = [];
  if (all - orphaned > 0) parts.push(`Uploads ${count(done)} of ${count(all - orphaned)}`);
  if (running || paused) parts.push(`${size(sentTotal.value)} of ${size(bytes)}`);
  if (running && pace.value.bytesPerSecond) parts.push(text.pace(pace.value.bytesPerSecond));
  if (running && Number.isFinite(pace.value.secondsLeft)) parts.push(text.left(pace.value.secondsLeft));
  if (paused) parts.push(`${count(paused)} paused`);
  if (conflict) parts.push(plural(conflict, "needs a decision", "need a decision"));
  if (failed) parts.push(`${count(failed)} failed`);
  if (orphaned) parts.push(`${count(orphaned)} unfinished: choose the same file`);
  if (going) parts.push(plural(going, "job"));
  else if (work.length && !all) parts.push(plural(work.length, "job"));
  return parts.join(" · ");
}

/** Announces every tenth of the way, and the end. */
function useAnnouncements() {
  const tenth = Math.floor(share.value * 10);
  const { running, failed, done, all } = summary.value;
  const before = useRef({ running: 0, failed: 0 });
  useEffect(() => {
    if (running && tenth > 0 && tenth < 10) say(`Uploads ${tenth * 10} %`);
  }, [tenth]);
  useEffect(() => {
    if (before.current.running && !running && done === all) say(`${plural(done, "upload")} done`);
    if (failed > before.current.failed) {
      cry(plural(failed, "upload failed", "uploads failed"));
      open.value = true;
    }
    before.current = { running, failed };
  }, [running, failed]);
  const ended = jobs.ended.value;
  useEffect(() => {
    if (!ended) return;
    const { failed: lost, state } = ended.progress.peek();
    (lost.length || state === "failed" ? cry : say)(`${ended.label}: ${jobWords(ended.progress.peek(), ended.order)}`);
    if (lost.length) open.value = true;
    else if (state === "done") toast(jobWords(ended.progress.peek(), ended.order), { kind: "ok" });
  }, [ended]);
  useEffect(() => {
    if (leftOutNames.value) toast(text.leftOut(leftOutNames.value));
    leftOutNames.value = 0;
  }, [leftOutNames.value]);
}

/** Decisions about uploads, one dialog at a time. */
function UploadConflicts() {
  const [upload, ...others] = conflicts.value;
  if (!upload) return null;
  const answer = (/** @type {any} */ choice) => decide(upload, choice?.choice ?? "skip", choice?.forAll ?? false);
  const batch = others.filter((other) => other.group === upload.group).length + uploads.value.filter((other) => other.group === upload.group && ["waiting", "checking"].includes(other.phase)).length;
  return html`<${Conflict} key=${upload.id} name=${base(upload.key)} there=${upload.there} yours=${{ size: upload.size, modified: upload.lastModified }} others=${batch} done=${answer} />`;
}

export function Tray() {
  useAnnouncements();
  const { all, failed, running, paused, conflict, orphaned } = summary.value;
  const any = all > 0 || jobs.jobs.value.length > 0;
  const filters = /** @type {const} */ ([
    ["all", "All"],
    ["failed", `Failed ${failed || ""}`],
    ["decision", `Needs a decision ${conflict + orphaned || ""}`],
  ]);
  if (!any) return html`<${UploadConflicts} />`;
  const going = running > 0;
  return html`
    <section class=${cls("tray", open.value && "open")} aria-label="Transfers">
      <div class="strip">
        <button class="headline" aria-expanded=${open.value ? "true" : "false"} onClick=${() => (open.value = !open.value)}>
          <${Icon} name=${open.value ? "down" : "up"} /><span>${headline()}</span>
        </button>
        ${going && html`<${Bar} part=${share.value} label=${`All uploads: ${percent(share.value)}`} />`}
        <span class="controls">
          ${going && html`<button class="button small" onClick=${pauseAll}>Pause all</button>`}
          ${!going && paused > 0 && html`<button class="button small" onClick=${resumeAll}>Resume all</button>`}
          ${failed > 0 && html`<button class="button small" onClick=${retryFailed}>Retry failed</button>`}
          ${(going || paused > 0) && html`<button class="button small" onClick=${cancelAll}>Cancel all</button>`}
          ${!going && !paused && html`<button class="button small" onClick=${() => (clearEnded(), jobs.clearOver())}>Clear</button>`}
        </span>
      </div>
      ${open.value &&
      html`
        <div class="filters">
          <div role="group" aria-label="Show">${filters.map(([id, label]) => html`<button key=${id} class="button small" aria-pressed=${only.value === id ? "true" : "false"} onClick=${() => (only.value = id)}>${label}</button>`)}</div>
          <span class="grow"></span>
          ${all > 0 && html`<${Copy} text=${report} words="Copy report" />`}
        </div>
        <${TransferList} />
      `}
    </section>
    <${UploadConflicts} />
  `;
}

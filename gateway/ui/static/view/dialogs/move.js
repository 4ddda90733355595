/**
 * Where to: a location and a folder of it, chosen by arrows and typing.
 */
import { html, style, uid, useEffect, useMemo, useState } from "../../lib/dom.js";
import { count, plural } from "../../lib/format.js";
import { Icon } from "../../lib/icons.js";
import { locations, may, missing } from "../../model/session.js";
import { listPage } from "../../s3/client.js";
import { base, display, parent } from "../../s3/names.js";
import { isAbort } from "../../s3/send.js";
import { Dialog } from "./dialog.js";

await style("parts");

/** @param {{rows: import("../../model/listing.js").Row[], operation: "move" | "copy", bucket: string, prefix: string, done: (value?: any) => void}} props */
export function Move({ rows, operation, bucket: fromBucket, prefix: fromPrefix, done }) {
  const [bucket, setBucket] = useState(fromBucket);
  const [prefix, setPrefix] = useState(fromPrefix);
  const [folders, setFolders] = useState(/** @type {string[]} */ ([]));
  const [typed, setTyped] = useState("");
  const [ifExists, setIfExists] = useState("ask");
  const name = useMemo(() => uid("exists"), []);
  const list = locations.value.filter((location) => location.allow.has("write"));

  useEffect(() => {
    const controller = new AbortController();
    setFolders([]);
    listPage(bucket, { prefix, signal: controller.signal }).then(
      (page) => setFolders(page.prefixes),
      (error) => !isAbort(error) && setFolders([]),
    );
    return () => controller.abort();
  }, [bucket, prefix]);

  const go = (/** @type {string} */ next) => {
    setPrefix(next);
    setTyped("");
  };
  const target = prefix + (typed ? `${typed.replace(/^\/+|\/+$/g, "")}/` : "");
  const why = missing("write", bucket, prefix);
  const same = operation === "move" && bucket === fromBucket && target === fromPrefix;
  const verb = operation === "move" ? "Move" : "Copy";
  const what = rows.length === 1 ? base(rows[0].name) : plural(rows.length, "item");
  const floor = list.filter((location) => location.bucket === bucket && prefix.startsWith(location.prefix)).sort((a, b) => a.prefix.length - b.prefix.length)[0]?.prefix ?? "";
  const shown = folders.filter((folder) => base(folder).toLowerCase().includes(typed.toLowerCase()));
  const choose = (/** @type {any} */ event) => {
    const location = list[Number(event.target.value)];
    setBucket(location.bucket);
    go(location.prefix);
  };
  return html`
    <${Dialog} title=${html`${verb} <bdi>${display(what)}</bdi> to…`} done=${done} submit=${() => ({ bucket, prefix: target, ifExists })} action=${`${verb} ${rows.length > 1 ? count(rows.length) : ""} here`} ready=${!why && !same}>
      <label class="form-field">Location<select class="field" onChange=${choose}>${list.map((location, i) => html`<option key=${i} value=${i} selected=${location.bucket === bucket && prefix.startsWith(location.prefix)}>${location.bucket}${location.prefix && ` / ${location.prefix}`}</option>`)}</select></label>
      <div class="form-field"><span>Folder <span class="muted mono small"><bdi>${display(`${bucket}/${target}`)}</bdi></span></span>
        <input class="field" data-autofocus aria-label="Folder below this one, new or there" placeholder="type to find, or to make one" value=${typed} spellcheck=${false} autocapitalize="off" onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} />
      </div>
      <ul class="suggestions" aria-label="Folders of that place">
        ${prefix.length > floor.length && html`<li><button type="button" class="quiet" onClick=${() => go(parent(prefix))}><${Icon} name="up" /> up to <bdi>${display(base(parent(prefix)) || bucket)}</bdi></button></li>`}
        ${shown.slice(0, 200).map((folder) => html`<li key=${folder}><button type="button" class="quiet grow start" onClick=${() => go(folder)}><${Icon} name="folder" /> <bdi>${display(base(folder))}</bdi></button></li>`)}
        ${!shown.length && html`<li class="muted small">${may("list", bucket, prefix) ? "No folders here." : "You cannot see what is here."}</li>`}
      </ul>
      <fieldset><legend>If a name exists</legend><div class="options">
        ${[["ask", "Ask"], ["replace", "Replace"], ["rename", "Keep both"], ["skip", "Skip"]].map(([value, label]) => html`<label key=${value} class="check-line"><input type="radio" name=${name} checked=${ifExists === value} onChange=${() => setIfExists(value)} />${label}</label>`)}
      </div></fieldset>
      ${(why || same) && html`<p class=${why ? "small danger-text" : "small muted"}>${why || "They are here already: choose another folder."}</p>`}
    <//>
  `;
}

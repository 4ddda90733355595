/**
 * A new folder: an empty object whose key ends in a slash.
 */
import { html, useState } from "../../lib/dom.js";
import { appeared, current } from "../../model/listing.js";
import { makeFolder } from "../../s3/client.js";
import { display } from "../../s3/names.js";
import { Dialog } from "./dialog.js";

/** Why a name cannot be used; "" where it can. @param {string} name */
export function unusable(name) {
  if (name.split("/").some((part) => part === "." || part === "..")) return "A browser cannot address “.” or “..” as a name.";
  if (/[\u0000-\u001f\u007f]/.test(name)) return "The name holds a control character.";
  return "";
}

/** @param {{bucket: string, prefix: string, done: (value?: string) => void}} props */
export function Folder({ bucket, prefix, done }) {
  const [name, setName] = useState("");
  const bare = name.replace(/^\/+|\/+$/g, "");
  const taken = bare !== "" && !bare.includes("/") && current.peek()?.find(`${bare}/`) !== undefined;
  const words = taken ? "A folder of that name is here already." : unusable(bare);
  const submit = async () => {
    const target = `${prefix}${bare.normalize("NFC")}/`;
    await makeFolder(bucket, target);
    appeared(bucket, target, 0);
    return target;
  };
  return html`
    <${Dialog} title="New folder" done=${done} submit=${submit} action="Create" ready=${bare !== "" && !words}>
      <label class="form-field">Name<input class="field" value=${name} spellcheck=${false} autocapitalize="off" aria-describedby="folder-hint" aria-invalid=${words ? "true" : undefined} onInput=${(/** @type {any} */ event) => setName(event.target.value)} /></label>
      <p id="folder-hint" class=${words ? "small danger-text" : "small muted"}>${words || html`In ${bucket}/<bdi>${display(prefix)}</bdi>. A slash makes levels.`}</p>
    <//>
  `;
}

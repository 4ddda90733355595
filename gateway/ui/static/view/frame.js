/**
 * The frame: header, rail, the place, the pane, the tray; and what floats above them.
 */
import { cls, html, useEffect, useState } from "../lib/dom.js";
import { assertive, cry, polite } from "../lib/announce.js";
import { count, moment, percent, speed } from "../lib/format.js";
import { nextRegion, typing } from "../lib/focus.js";
import { Icon } from "../lib/icons.js";
import { text } from "../lib/text.js";
import { at, browse, go, link, place } from "../model/place.js";
import { prefer, prefs } from "../model/prefs.js";
import { failure, load, locations, newRelease, online, owner, replaced, signInAgain, signOut, status, who } from "../model/session.js";
import { forgetOwner } from "../model/store.js";
import { base, display } from "../s3/names.js";
import { busy, pace, share, summary, trayWanted, uploads } from "../upload/board.js";
import { up } from "./actions.js";
import { Banner, Problem, details } from "./banner.js";
import { Copy } from "./copy.js";
import { Crumbs } from "./crumbs.js";
import { Dialogs, ask, dialogOpen, jump } from "./dialogs/dialog.js";
import { List } from "./list.js";
import { Menu, openMenu } from "./menu.js";
import { Rail, Why, badge } from "./rail.js";
import { Toasts } from "./toasts.js";
import { Toolbar } from "./toolbar.js";

const help = async () => {
  const { Help } = await import("./dialogs/help.js");
  if (!dialogOpen()) ask(Help);
};

/** @param {MouseEvent} event */
function themeMenu(event) {
  const items = /** @type {const} */ (["auto", "light", "dark"]).map((theme) => ({ label: theme === "auto" ? "Like the system" : theme === "light" ? "Light" : "Dark", checked: prefs.peek().theme === theme, run: () => prefer({ theme }) }));
  openMenu(/** @type {Element} */ (event.currentTarget), "Theme", items);
}

/** @param {boolean} everywhere */
async function leave(everywhere) {
  if (uploads.peek().length) {
    const { cancelAll, unfinished } = await import("../upload/queue.js");
    const open = unfinished();
    const { Leave } = await import("./dialogs/leave.js");
    if (open.length && !(await ask(Leave, { uploads: open }))) return;
    cancelAll();
  }
  await signOut(everywhere, () => forgetOwner(owner.peek()));
}

/** @param {MouseEvent} event */
function accountMenu(event) {
  const person = who.peek();
  if (!person) return;
  const header = html`
    <div class="account">
      <strong>${person.name || person.username}</strong>
      <span class="muted">${person.email || person.username}</span>
      <span class="muted small">${person.provider ?? person.issuer}</span>
      <span class="muted small">Groups: ${person.groups?.length ? person.groups.join(", ") : "none"}</span>
      ${person.expires_at && html`<span class="muted small">Session until ${moment(person.expires_at)}</span>`}
    </div>
  `;
  openMenu(
    /** @type {Element} */ (event.currentTarget),
    "Account",
    [
      { label: "Access keys", icon: "key", run: () => go(at({ page: "keys" })) },
      { label: "Share links", icon: "link", run: () => go(at({ page: "shares" })) },
      { label: "Compact rows", icon: "menu", rule: true, several: true, checked: prefs.peek().density === "compact", run: () => prefer({ density: prefs.peek().density === "compact" ? "normal" : "compact" }) },
      { label: "Single-letter keys", icon: "keyboard", several: true, checked: prefs.peek().letterKeys, run: () => prefer({ letterKeys: !prefs.peek().letterKeys }) },
      { label: "Keyboard map", icon: "keyboard", keys: "?", run: help },
      { label: "Sign out", icon: "out", rule: true, run: () => leave(false) },
      { label: "Sign out everywhere", icon: "out", run: () => leave(true) },
    ],
    header,
  );
}

/** @param {{toggleRail: () => void, railOpen: boolean}} props */
function Header({ toggleRail, railOpen }) {
  const person = who.value;
  const name = person?.name || person?.username || "";
  const { running } = summary.value;
  return html`
    <header class="header">
      <button class="icon-button rail-toggle" aria-label="Locations" aria-expanded=${railOpen ? "true" : "false"} onClick=${toggleRail}><${Icon} name="menu" /></button>
      <a class="brand" ...${link(at({}))}><${Icon} name="folder" /><span>Files</span></a>
      <button class="jump" aria-label="Jump to a place" onClick=${() => jump()} aria-keyshortcuts="Control+K"><${Icon} name="search" /><span class="grow">Jump to a place</span><kbd>Ctrl K</kbd></button>
      <span class="grow"></span>
      ${busy.value && running > 0 && html`<span class="moving muted num"><${Icon} name="transfers" />${count(running)}${pace.value.bytesPerSecond > 0 && ` · ${speed(pace.value.bytesPerSecond)}`}</span>`}
      <button class="icon-button" aria-label="Theme" aria-haspopup="menu" onClick=${themeMenu}><${Icon} name="theme" /></button>
      ${person && html`<button class="account-button" aria-haspopup="menu" aria-label=${`Account of ${name}`} onClick=${accountMenu}><span class="avatar" aria-hidden="true">${[...name][0]?.toUpperCase()}</span><span class="who">${name}</span><${Icon} name="down" /></button>`}
    </header>
  `;
}

/** What concerns the whole page. */
function PageBanners() {
  const before = replaced.value;
  const person = who.value;
  const theirs = before ? uploads.value.filter((upload) => upload.owner !== owner.value).length : 0;
  return html`
    ${!online.value && html`<${Banner} kind="warn"><p>${text.offline}</p><//>`}
    ${status.value === "ended" && html`<${Banner} kind="warn" icon="lock" actions=${html`<button class="button primary" onClick=${signInAgain}>Sign in again</button>`}><p><strong>${text.ended}</strong> ${text.endedStay}</p><//>`}
    ${before && person && html`<${Banner} actions=${html`<button class="button" onClick=${() => (replaced.value = null)}>OK</button>`}><p>${text.replaced(person.name || person.username, before.name || before.username, theirs)}</p><//>`}
    ${newRelease.value && html`<${Banner} actions=${html`<button class="button" onClick=${() => location.reload()}>Reload</button>`}><p>${text.newRelease}</p><//>`}
    ${failure.value && online.value && status.value === "in" && html`<${Problem} failure=${failure.value} actions=${html`<button class="button" onClick=${load}>Try again</button>`} />`}
  `;
}

function Locations() {
  const person = who.value;
  const list = locations.value;
  if (!person) return null;
  if (!list.length) {
    const facts = { when: new Date(), status: 0, code: "NoStorage", message: "no storage is mapped", requestId: "" };
    return html`
      <h1 class="page-title">No storage</h1>
      <${Banner} kind="warn" actions=${html`<${Copy} text=${details(/** @type {any} */ (facts))} words="Copy details" /><button class="button" onClick=${() => leave(false)}>Sign out</button>`}><p>${text.noLocation(person.email || person.username, person.groups ?? [])}</p><//>
    `;
  }
  return html`
    <h1 class="page-title">Locations</h1>
    <ul class="cards">
      ${list.map(({ bucket, prefix, allow, because }) => html`
        <li key=${`${bucket}/${prefix}`}>
          <a class="card" ...${link(browse(bucket, prefix))}>
            <${Icon} name=${prefix ? "folder" : "bucket"} />
            <span class="grow"><strong><bdi>${display(bucket)}</bdi>${prefix && html`<span class="muted"> / <bdi>${display(prefix.slice(0, -1))}</bdi></span>`}</strong><span class="small muted"><${Why} words=${badge(allow)[1]} because=${because} /></span></span>
            <span class="badge" aria-hidden="true">${badge(allow)[0]}</span>
          </a>
        </li>`)}
    </ul>
  `;
}

/** Parts that are loaded when they are opened; without a line, when it is back. @param {{load: () => Promise<any>, member: string}} props */
function Lazy({ load: loader, member }) {
  const [View, setView] = useState(/** @type {any} */ (null));
  const [lost, setLost] = useState(false);
  useEffect(() => {
    if (View) return;
    loader().then(
      (module) => setView(() => module[member]),
      () => setLost(true),
    );
  }, [online.value]);
  return View ? html`<${View} />` : lost ? html`<p class="banner warn">${text.partLost}</p>` : null;
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (dialogOpen() || event.defaultPrevented) return;
  const control = event.ctrlKey || event.metaKey;
  if (control && event.key.toLowerCase() === "k") jump();
  else if (event.key === "F6") nextRegion(event.shiftKey ? -1 : 1);
  else if (event.altKey && event.key === "ArrowUp" && place.peek().page === "browse") up();
  else if (typing(event.target) || control || event.altKey) return;
  else if (event.key === "/" && place.peek().page === "browse") dispatchEvent(new Event("gateway:filter"));
  else if (event.key === "?") help();
  else return;
  event.preventDefault();
}

/** The title says where, and how far uploads are. */
function useTitle() {
  const { page, bucket, prefix } = place.value;
  const { running } = summary.value;
  const where = page === "keys" ? "Access keys" : page === "shares" ? "Share links" : page === "browse" ? [prefix && display(base(prefix).slice(0, -1)), bucket].filter(Boolean).join(" · ") : "";
  const done = running ? `${percent(share.value)} · ` : "";
  useEffect(() => {
    document.title = `${done}${where ? `${where} · ` : ""}Files`;
  }, [where, done]);
}

/** One location opens at once. */
function useOnlyLocation() {
  const list = locations.value;
  const { page } = place.value;
  useEffect(() => {
    if (page === "locations" && list.length === 1) go(browse(list[0].bucket, list[0].prefix), { replace: true });
  }, [page, list]);
}

export function Frame() {
  const [rail, setRail] = useState(false);
  useTitle();
  useOnlyLocation();
  useEffect(() => {
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  useEffect(() => {
    if (status.value === "ended") cry(text.ended);
    if (!online.value) cry(text.offline);
  }, [status.value, online.value]);
  const { page, open, view } = place.value;

  if (status.value === "failed" && failure.value) return html`<main class="alone"><h1>Files</h1><${Problem} failure=${failure.value} actions=${html`<button class="button" onClick=${load}>Try again</button>`} /></main>`;
  if (!who.value) return html`<main class="alone" aria-busy="true"><h1 class="hidden">Files</h1></main>`;
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => (event.preventDefault(), document.getElementById("main")?.focus())}>Skip to the list</a>
    <div class=${cls("frame", rail && "rail-open", open && page === "browse" && "pane-open", view === "full" && open && "full-open")}>
      <${Header} toggleRail=${() => setRail(!rail)} railOpen=${rail} />
      <div class="body">
        ${rail && html`<div class="scrim" onClick=${() => setRail(false)}></div>`}
        <${Rail} close=${() => setRail(false)} />
        
        <main id="main" tabindex="-1">
          <${PageBanners} />
          ${page === "browse" && html`<div class="place"><${Crumbs} /><${Toolbar} /><${List} /></div>`}
          ${page === "locations" && html`<div class="page"><${Locations} /></div>`}
          ${page === "keys" && html`<div class="page"><${Lazy} key="keys" load=${() => import("./pages/keys.js")} member="Keys" /></div>`}
          ${page === "shares" && html`<div class="page"><${Lazy} key="shares" load=${() => import("./pages/shares.js")} member="Shares" /></div>`}
        </main>
        ${page === "browse" && open && html`<${Lazy} load=${() => import("./pane.js")} member="Pane" />`}
      </div>
      ${trayWanted.value && html`<${Lazy} load=${() => import("./tray.js")} member="Tray" />`}
    </div>
    <${Toasts} /><${Menu} /><${Dialogs} />
    <div class="hidden" role="status" aria-live="polite">${polite.value}</div>
    <div class="hidden" role="alert" aria-live="assertive">${assertive.value}</div>
  `;
}


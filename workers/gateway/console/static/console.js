// Keeps the pages of the console fresh. They work without it. Whatever an event says becomes text, never markup.
"use strict";

const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const spelled = (text) => String(text).replace(UNSAFE, (one) => "\\u" + one.charCodeAt(0).toString(16).padStart(4, "0"));
const DIGEST = /\b(sha256:[0-9a-f]{12})[0-9a-f]{52}\b/g;
const shortened = (text) => text.replace(DIGEST, "$1…");
const byId = (id) => document.getElementById(id);

// ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function long(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")}`;
  return `${Math.floor(whole / 86400)} days`;
}

function took(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : long(seconds);
}

function tellTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (isNaN(at)) continue;
    time.title = at.toLocaleString([], { dateStyle: "medium", timeStyle: "long" });
    if ("clock" in time.dataset) time.textContent = at.toLocaleTimeString([], { hour12: false });
    if ("ago" in time.dataset) {
      const seconds = (Date.now() - at) / 1000;
      time.textContent = seconds < 1 ? "now" : long(seconds);
    }
  }
}

// ── a stream of events that is there while somebody looks ─────────────────────────────────────────────────────────

function say(state, text) {
  const live = byId("live");
  if (live && (live.dataset.live !== state || live.textContent !== text)) {
    live.dataset.live = state;
    live.textContent = text;
  }
}

const SIGNED_OUT = "signed out: load the page again";

class Stream {
  // A browser has six connections to one address: a tab that nobody looks at gives its own back.
  constructor(address, after, listeners) {
    this.address = address;
    this.after = after;
    this.listeners = listeners;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", () => this.open());
    this.open();
  }

  open() {
    if (this.source || this.over || document.hidden) return;
    const address = new URL(this.address, location.href);
    address.searchParams.set("after", this.after);
    this.source = new EventSource(address);
    this.source.onopen = () => say("on", "live");
    this.source.onerror = () => this.lost();
    for (const [name, listener] of Object.entries(this.listeners)) {
      this.source.addEventListener(name, (event) => {
        if (event.lastEventId) this.after = event.lastEventId;
        listener(event.data ? JSON.parse(event.data) : {}, event.lastEventId);
      });
    }
  }

  async lost() {
    say("lost", "connection lost, trying again");
    if (!this.source || this.source.readyState !== EventSource.CLOSED) return;
    // The answer was no stream: signed out, or the door is starting. A browser would not try again.
    this.close();
    const page = await fetch(location.href, { redirect: "manual" }).catch(() => null);
    if (page?.type === "opaqueredirect") {
      this.over = true;
      say("lost", SIGNED_OUT);
    } else setTimeout(() => this.open(), 3000);
  }

  close() {
    if (this.source) this.source.close();
    this.source = null;
  }

  end(text) {
    this.over = true;
    this.close();
    say("over", text);
  }
}

// ── the list of runs ──────────────────────────────────────────────────────────────────────────────────────────────

function listRuns(list) {
  const wanted = list.dataset;
  const text = wanted.q.toLowerCase();
  const fits = (run) =>
    (!wanted.state || run.state === wanted.state) && (!wanted.worker || run.worker === wanted.worker) &&
    (!text || [run.run, run.id, run.subject, run.actor].some((one) => one && one.toLowerCase().includes(text)));

  function fill(row, run) {
    const set = (name, value) => { row.querySelector(`[data-f=${name}]`).textContent = spelled(value ?? ""); };
    const busy = row.matches(":focus-within");
    row.className = `run ${run.state}${busy ? "" : " fresh"}`;
    row.querySelector(".state").className = `state ${run.state}`;
    row.dataset.run = run.run;
    for (const name of ["state", "type", "worker", "actor"]) set(name, run[name]);
    const subject = shortened(run.subject ?? run.id);
    row.querySelector("[data-f=subject]").setAttribute("aria-label", spelled(subject));
    const tail = subject.slice(subject.lastIndexOf("/") + 1);
    set("tail", tail);
    set("head", subject.slice(0, subject.length - tail.length));
    row.querySelector("[data-f=subject]").title = spelled(run.subject ?? "");
    set("why", run.cause ?? run.step);
    row.querySelector("[data-f=why]").title = spelled(run.cause ?? "");
    set("took", run.state === "done" || run.state === "failed" ? took(run.seconds) : "");
    row.querySelector("[data-f=subject]").href = `/console/runs/${encodeURIComponent(run.run)}`;
    row.querySelector("[data-f=at]").dateTime = run.at;
    tellTimes(row);
  }

  // Whoever is about to open a row shall find it where it was: what is new waits until the list is let go.
  const held = new Map(), notice = byId("held");
  const isBusy = () => list.matches(":hover, :focus-within");

  function show(run) {
    let row = list.querySelector(`[data-run="${CSS.escape(run.run)}"]`);
    if (!row) {
      row = byId("row").content.firstElementChild.cloneNode(true);
      list.prepend(row);
      while (list.children.length > Number(wanted.most)) list.lastElementChild.remove();
    }
    fill(row, run);
  }

  function release() {
    for (const run of held.values()) show(run);
    held.clear();
    notice.hidden = true;
  }

  function hold(run) {
    held.delete(run.run);
    if (fits(run)) held.set(run.run, run);
    if (held.size > Number(wanted.most)) held.delete(held.keys().next().value);
    notice.textContent = held.size === 1 ? "1 new run" : `${held.size} new runs`;
    notice.hidden = held.size === 0;
  }

  function take(run) {
    const row = list.querySelector(`[data-run="${CSS.escape(run.run)}"]`);
    if (!row && (isBusy() || held.has(run.run))) hold(run);
    else if (fits(run)) show(run);
    else if (row && isBusy()) fill(row, run);
    else if (row) row.remove();
    document.querySelector(".empty").hidden = list.children.length > 0;
  }

  list.addEventListener("pointerleave", () => { if (!list.matches(":focus-within")) release(); });
  list.addEventListener("focusout", (event) => { if (!list.contains(event.relatedTarget) && !list.matches(":hover")) release(); });
  notice.addEventListener("click", () => { release(); scrollTo({ top: 0 }); });

  const address = wanted.type ? `${wanted.follow}?type=${encodeURIComponent(wanted.type)}` : wanted.follow;
  new Stream(address, wanted.after, { run: take });
}

// ── one run ───────────────────────────────────────────────────────────────────────────────────────────────────────

function followRun(one) {
  const log = byId("log");
  let fetching = false, again = false;

  function isRead(timeline) {
    const chosen = getSelection();
    return !chosen.isCollapsed && timeline.contains(chosen.anchorNode);
  }

  function replace(timeline, nodes) {
    const focused = timeline.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    timeline.replaceChildren(...nodes);
    tellTimes(timeline);
    if (focused) [...timeline.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }

  async function refresh() {
    if (fetching) { again = true; return; }
    fetching = true;
    const began = performance.now();
    try {
      // What somebody is copying stays until it is copied.
      if (isRead(byId("timeline"))) { again = true; return; }
      const answer = await fetch(`/console/runs/${one.dataset.run}?part=timeline`, { credentials: "same-origin" });
      if (answer.ok && !answer.redirected)
        replace(byId("timeline"), new DOMParser().parseFromString(await answer.text(), "text/html").body.childNodes);
    } catch {
      // The stream says that the connection is lost, and asks for all of it once more when it is back.
    } finally {
      // A run of which much was said takes long to tell anew: the longer, the less often.
      await new Promise((done) => setTimeout(done, Math.max(300, 4 * (performance.now() - began))));
      fetching = false;
      if (again) { again = false; refresh(); }
    }
  }

  function write(at, worker, text, kind) {
    const line = byId("line").content.firstElementChild.cloneNode(true);
    if (kind) line.className = kind;
    line.querySelector("time").dateTime = at;
    line.querySelector(".worker").textContent = spelled(worker);
    line.querySelector("bdi").textContent = spelled(text);
    tellTimes(line);
    log.append(line);
    while (log.children.length > Number(log.dataset.most)) log.firstElementChild.remove();
    byId("silent").hidden = true;
    if (byId("follow")?.checked) log.scrollTop = log.scrollHeight;
  }

  const stream = new Stream(one.dataset.follow, one.dataset.after, {
    progress: (said) => {
      if (said.kind === "log") write(said.at, said.worker, said.message ?? "");
      if (said.kind === "result") for (const text of said.logs ?? []) write(said.at, said.worker, text);
      refresh();
    },
    gap: (gap) => {
      write(new Date().toISOString(), "", gap.reason === "reset" ? "The bus began anew: what follows is all there is." : "Something is missing here: the bus does not keep it any more.", "gap");
      refresh();
    },
    waiting: () => say("lost", "the bus is away; what is said will come"),
    completed: () => { stream.end("complete"); refresh(); },
  });
}

// ── pages that are asked for again ────────────────────────────────────────────────────────────────────────────────

function renew(parts) {
  const follows = document.querySelector("[data-follow]") !== null;
  const tell = (state, text) => { if (!follows) say(state, text); };

  async function look() {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.redirected) { tell("lost", SIGNED_OUT); return; }
      if (!answer.ok || !parts.every((part) => page.getElementById(part.id))) throw new Error("another page");
      for (const part of parts) {
        // Whoever is about to press something there shall find it where it was.
        if (part.contains(document.activeElement) || part.matches("[data-still]:hover")) continue;
        part.replaceChildren(...page.getElementById(part.id).childNodes);
        tellTimes(part);
      }
      document.title = page.title;
      tell("on", "live");
    } catch {
      tell("lost", "connection lost, trying again");
    }
  }

  setInterval(look, Math.min(...parts.map((part) => Number(part.dataset.renew))) * 1000);
  document.addEventListener("visibilitychange", look);
}

// ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "Escape") document.activeElement.blur();
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector("input[type=search]")?.focus();
  }
  if (event.key === "j" || event.key === "k") {
    const links = [...document.querySelectorAll(".run .what a, tbody th a")];
    const place = links.indexOf(document.activeElement) + (event.key === "j" ? 1 : -1);
    links[Math.max(0, Math.min(place, links.length - 1))]?.focus();
  }
}

tellTimes(document);
setInterval(() => tellTimes(document), 5000);
document.addEventListener("keydown", press);
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.who[open]")) if (!menu.contains(event.target)) menu.open = false;
});
const runs = document.querySelector("#runs[data-follow]");
if (runs) listRuns(runs);
const one = document.querySelector("#one[data-follow]");
if (one) followRun(one);
const parts = [...document.querySelectorAll("[data-renew]")];
if (parts.length) renew(parts);
if (byId("log")) byId("log").scrollTop = byId("log").scrollHeight;

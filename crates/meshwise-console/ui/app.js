// The frame: navigation, what is wrong, what time is looked at, live or not.

import { bars } from "./charts.js";
import { h, put } from "./dom.js";
import { ago, clock, duration, percent, rate } from "./format.js";
import { icon } from "./icons.js";
import * as map from "./map.js";
import * as traces from "./traces.js";
import * as trace from "./trace.js";
import * as logs from "./logs.js";
import * as metrics from "./metrics.js";
import * as guards from "./guards.js";
import * as apis from "./apis.js";
import { footer, help, showStatus } from "./status.js";

const VIEWS = { map, traces, trace, logs, metrics, guards, apis };
const TABS = [["map", "Map", "m"], ["traces", "Traces", "t"], ["logs", "Logs", "l"], ["metrics", "Metrics", "e"], ["guards", "Guards", "b"], ["apis", "APIs", "a"]];
const WINDOWS = [[60_000, "1 m"], [300_000, "5 m"], [600_000, "10 m"]];

/** After so long a silence nothing is said to be well, in milliseconds. */
const SILENT = 20_000;

const state = { window: 60_000, live: true, shown: null, now: Date.now(), stamp: 0 };

/** Is why the console has no answer; `status` is 0 where it cannot be reached. */
class Unanswered extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Asks the console; throws what it answers if that is an error. */
export async function ask(path, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== undefined && value !== ""));
  let reply, said;
  try {
    reply = await fetch(`/data/${path}${query.size ? `?${query}` : ""}`, { headers: { accept: "application/json" } });
    if (reply.ok) return await reply.json();
    said = await reply.text();
  } catch {
    throw new Unanswered("The console does not answer; this page asks again by itself.", 0);
  }
  let message = said;
  try { message = JSON.parse(said).errors?.[0]?.msg ?? said; } catch { /* plain text */ }
  throw new Unanswered(message.trim() || `The console answers ${reply.status}.`, reply.status);
}

/** Makes the address of a view: link("trace", ["id"], {span}). */
export function link(view, path = [], params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value));
  return `#/${[view, ...path.map(encodeURIComponent)].join("/")}${query.size ? `?${query}` : ""}`;
}

/** Goes to an address; `quietly` leaves no entry in the history. */
export function go(address, quietly = false) {
  if (quietly) history.replaceState(null, "", address);
  else location.hash = address;
}

export const context = { get window() { return state.window; }, get now() { return state.now; }, ask, link, go, look };

// --- the frame ---

const main = h("main", { id: "main", tabindex: -1 });
const pulse = h("section", { class: "pulse", "aria-live": "polite" });
const badges = new Map(TABS.map(([id]) => [id, h("span", { class: "badge", hidden: true })]));
const tabs = h("nav", { class: "tabs", "aria-label": "Views" },
  TABS.map(([id, name, key]) => h("a", { href: link(id), "data-view": id, title: `${name} (g ${key})` }, icon(id), h("span", {}, name), badges.get(id))));
const windows = h("div", { class: "segments", role: "group", "aria-label": "Time looked at" },
  WINDOWS.map(([ms, name]) => h("button", { type: "button", "data-ms": ms, "aria-pressed": ms === state.window, on: { click: () => look(ms) } }, name)));
const live = h("button", { class: "live", type: "button", "aria-pressed": true, title: "Live or still (space)", on: { click: toggleLive } }, h("span", { class: "beat" }), h("span", { class: "live-word" }, "Live"));
const theme = h("button", { class: "round", type: "button", title: "Dark or light (d)", "aria-label": "Dark or light", on: { click: toggleTheme } }, icon("moon"));
const question = h("button", { class: "round", type: "button", title: "Keys (?)", "aria-label": "Help", on: { click: help } }, icon("help"));

document.body.append(
  h("a", { class: "skip", href: "#main", on: { click: (event) => { event.preventDefault(); main.focus(); } } }, "To the content"),
  h("header", { class: "topbar" },
    h("a", { class: "brand", href: link("map"), "aria-label": "meshwise" }, h("img", { src: "/ui/icon.svg", alt: "", width: 24, height: 24 }), h("b", {}, "meshwise")),
    tabs, h("div", { class: "tools" }, windows, live, theme, question)),
  pulse, main, footer);

function toggleTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  paint(now === "dark" ? "light" : "dark");
}

function paint(name) {
  document.documentElement.dataset.theme = name;
  put(theme, icon(name === "dark" ? "sun" : "moon"));
  try { localStorage.setItem("theme", name); } catch { /* no storage */ }
  state.shown?.redraw?.();
}

function look(ms) {
  state.window = ms;
  for (const button of windows.children) button.setAttribute("aria-pressed", Number(button.dataset.ms) === ms);
  refresh();
}

function toggleLive() {
  state.live = !state.live;
  showLive();
  if (state.live) refresh();
}

// What is shown is live, held still, a session's, or what was last heard of a console that is away.
function showLive() {
  const away = document.body.classList.contains("offline");
  const replay = context.status?.replay?.stands_at;
  live.setAttribute("aria-pressed", state.live);
  live.className = `live${away ? " away" : replay ? " replay" : ""}`;
  live.title = `${replay ? `A session, as it was at its end: ${clock(replay)}` : "Live or still"} (space)`;
  live.querySelector(".live-word").textContent = away ? "Away" : !state.live ? "Still" : replay ? "Replay" : "Live";
}

// --- what is wrong ---

const WORDS = {
  edge: (p) => ["fails", `${percent(p.share)} of calls from ${p.client}`, p.detail],
  service: (p) => ["fails", `${percent(p.share)} of its calls`, p.detail],
  gone: (p) => ["does not answer", "", p.detail],
  breaker: (p) => [p.detail === "open" ? "is cut off:" : "is tried again:", `${p.client}’s breaker is ${p.detail}`, ""],
  deprecated: (p) => ["still serves", `${p.detail}, deprecated, to ${p.client}`, ""],
  undeclared: (p) => ["is called", `by ${p.client}, which does not declare it`, ""],
  clock: (p) => ["has a clock", `${duration(Math.abs(Number(p.detail)))} ${Number(p.detail) > 0 ? "ahead" : "behind"}`, ""],
};

// The next steps of an incident, each one click from wherever it is read.
function steps(problem) {
  if (!["edge", "service", "breaker", "gone"].includes(problem.kind)) return null;
  const failing = problem.client ? edgeWord(problem.client, problem.subject) : `service:${quoted(problem.subject)}`;
  const where = problem.client ? ["edge", problem.client, problem.subject] : ["node", problem.subject];
  return h("nav", { class: "steps", "aria-label": "Next steps" },
    problem.kind !== "gone" && h("a", { href: link("traces", [], { q: `${failing} status:error` }) }, icon("traces"), "Failing traces"),
    h("a", { href: link("logs", [], { q: `service:${quoted(problem.subject)} level:warn` }) }, icon("logs"), "Its log lines"),
    h("a", { href: link("map", where) }, icon("map"), "On the map"));
}

// How the calls that fail have fared, so that better or worse is seen at a glance.
function trend(problem, edges, nodes) {
  const of = problem.client ? edges.find((edge) => edge.client === problem.client && edge.server === problem.subject) : nodes.find((node) => node.name === problem.subject);
  if (!of?.spark?.some(([calls]) => calls)) return null;
  return h("span", { class: "trend", title: "Calls and failures, the last two minutes" }, bars(of.spark.map(([calls]) => calls), of.spark.map(([, failed]) => failed), { width: 120, height: 26 }));
}

// Those who fail because what they call fails: one chip for all.
function felt(problems) {
  const names = [...new Set(problems.filter((problem) => problem.passed_on).map((problem) => problem.subject))];
  return names.length > 0 && h("a", { class: "chip passed", href: link("map"), title: "They fail because what they call fails" }, "felt by ", h("b", {}, names.slice(0, 4).join(", ")));
}

function target(problem) {
  switch (problem.kind) {
    case "edge": return link("traces", [], { q: `${edgeWord(problem.client, problem.subject)} status:error` });
    case "service": return link("traces", [], { q: `service:${quoted(problem.subject)} status:error` });
    case "gone": return link("logs", [], { q: `service:${quoted(problem.subject)}` });
    case "breaker": return link("guards");
    case "deprecated": return link("apis");
    default: return link("map");
  }
}

/** Quotes a word of a search if it has to be. */
export const quoted = (word) => (/\s/.test(word) ? `"${word}"` : word);
export const edgeWord = (client, server) => quoted(`edge:${client}>${server}`);

function showPulse({ problems, map: { nodes, edges } }, status) {
  const loud = problems.filter((problem) => problem.severity >= 2);
  const quiet = problems.length - loud.length;
  const [first, ...others] = problems;
  const chip = (problem) => {
    const [verb, rest] = WORDS[problem.kind](problem);
    return h("a", { class: `chip s${problem.severity}${problem.passed_on ? " passed" : ""}`, href: target(problem), title: problem.passed_on ? "What it calls fails too" : "" }, h("b", {}, problem.subject), ` ${verb} `, rest);
  };
  pulse.dataset.level = loud.length ? loud[0].severity : problems.length ? 1 : 0;
  if (!nodes.length && !edges.length && !loud.length) {
    pulse.hidden = true;
  } else if (loud.length) {
    pulse.hidden = false;
    const [verb, rest, detail] = WORDS[first.kind](first);
    const since = first.since ? ` for ${duration(state.now - first.since)}` : "";
    put(pulse,
      h("a", { class: "headline", href: target(first) }, h("span", { class: "mark", "aria-hidden": "true" }), h("b", {}, first.subject), ` ${verb} `, h("span", {}, rest, since), detail && h("small", {}, detail)),
      trend(first, edges, nodes),
      h("div", { class: "chips" }, felt(others), others.filter((problem) => !problem.passed_on).slice(0, 4).map(chip)),
      steps(first));
  } else {
    pulse.hidden = false;
    const entry = edges.filter((edge) => edge.client === "user");
    const calls = (entry.length ? entry : nodes).reduce((sum, { rate: calls }) => sum + calls, 0);
    const slowest = entry.reduce((most, edge) => Math.max(most, edge.p99 ?? 0), 0);
    const services = nodes.filter((node) => node.kind === "service").length;
    // Of those who say nothing it is not known that all is well.
    const silence = state.now - Math.max(0, ...status.services.map((service) => service.last));
    const end = status.replay?.stands_at;
    const [word, what] = end ? ["Replay", `as it was at ${clock(end)}, `] : silence > SILENT ? ["Silent", `nothing has come for ${duration(silence)}; before that `] : ["All well", ""];
    if (what) pulse.dataset.level = "still";
    put(pulse,
      h("span", { class: "headline" }, h("span", { class: "mark", "aria-hidden": "true" }), h("b", {}, word),
        h("span", { class: "muted" }, what, `${services} service${services === 1 ? "" : "s"}, ${rate(calls)}${slowest ? `, p99 ${duration(slowest)}` : ""}`)),
      h("div", { class: "chips" }, problems.slice(0, 4).map(chip), quiet > 4 && h("span", { class: "muted" }, `and ${quiet - 4} more`)));
  }
  const set = (id, number, level) => {
    const badge = badges.get(id);
    badge.hidden = !number;
    badge.textContent = number;
    badge.className = `badge ${level}`;
  };
  set("map", problems.filter((p) => p.kind === "edge" || p.kind === "service").length, "bad");
  set("guards", problems.filter((p) => p.kind === "breaker").length, "bad");
  set("apis", problems.filter((p) => p.kind === "deprecated").length, "warn");
  document.title = loud.length ? `(${loud.length}) ${loud[0].subject} ${WORDS[loud[0].kind](loud[0])[0]} · meshwise` : "meshwise";
  showStatus(status);
}

// --- views ---

function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "map", ...rest] = path.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  const known = Object.hasOwn(VIEWS, view) ? view : "map";
  const params = Object.fromEntries(new URLSearchParams(query));
  const key = known === "trace" ? `${known}/${rest[0]}` : known;
  for (const tab of tabs.children) {
    const current = tab.dataset.view === (known === "trace" ? "traces" : known);
    if (current) tab.setAttribute("aria-current", "page"); else tab.removeAttribute("aria-current");
  }
  if (state.key === key && state.shown.moved) {
    state.shown.moved(rest, params);
    return;
  }
  state.shown?.close?.();
  state.key = key;
  put(main);
  main.className = `view-${known}`;
  state.shown = VIEWS[known].show(main, rest, params, context);
  update(++state.stamp);
}

async function update(stamp) {
  try {
    await state.shown?.update?.();
    main.classList.remove("failed");
  } catch (error) {
    if (stamp === state.stamp) report(error);
  }
}

function report(error) {
  main.classList.add("failed");
  state.shown?.fail?.(error);
}

let asking = false;
async function refresh() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const [seen, status] = await Promise.all([ask("map", { window: state.window }), ask("status")]);
    document.body.classList.remove("offline");
    state.now = seen.now;
    context.seen = seen;
    context.status = status;
    showLive();
    showPulse(seen, status);
    await update(state.stamp);
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    offline(error);
  } finally {
    asking = false;
  }
}

function offline(error) {
  document.body.classList.add("offline");
  showLive();
  pulse.hidden = false;
  pulse.dataset.level = 2;
  const [title, text] = error?.status === 401 ? ["The console wants its token", "It was started anew, perhaps; open the address that it printed."]
    : error?.status ? ["The console refuses", error.message]
    : ["The console does not answer", "It has stopped, or is being started anew; this page tries again by itself."];
  put(pulse, h("span", { class: "headline" }, h("span", { class: "mark" }), h("b", {}, title), h("span", {}, text)));
}

// What a view asked on its own, after a click.
addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof Unanswered)) return;
  event.preventDefault();
  report(event.reason);
});

let events;
function listen() {
  events?.close();
  events = new EventSource("/events");
  events.onmessage = () => { if (state.live) refresh(); };
  events.onerror = () => { if (events.readyState !== EventSource.OPEN) offline(); };
  // Rates fall though nothing comes.
  clearInterval(listen.beat);
  listen.beat = setInterval(() => { if (state.live) refresh(); }, 5000);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) events?.close();
  else { listen(); refresh(); }
});
addEventListener("hashchange", route);

// --- keys ---

let going = 0;
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest?.("input, textarea, select");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (!document.querySelector("dialog[open]")) state.shown?.keys?.Escape?.();
    return;
  }
  if (typing || document.querySelector("dialog[open]")) return;
  if (going && Date.now() - going < 1500) {
    going = 0;
    const tab = TABS.find(([, , key]) => key === event.key);
    if (tab) { event.preventDefault(); go(link(tab[0])); }
    return;
  }
  const own = state.shown?.keys?.[event.key];
  const common = {
    g: () => { going = Date.now(); },
    "/": () => main.querySelector("input[type=search]")?.focus(),
    "?": help,
    d: toggleTheme,
    " ": event.target.closest?.("button, a, summary") ? undefined : toggleLive,
  }[event.key];
  const act = own ?? common;
  if (act) { event.preventDefault(); act(event); }
});

try {
  const kept = localStorage.getItem("theme");
  if (kept === "dark" || kept === "light") paint(kept);
  else put(theme, icon(matchMedia("(prefers-color-scheme: dark)").matches ? "sun" : "moon"));
} catch { /* no storage */ }

export { ago };
route();
listen();
refresh();

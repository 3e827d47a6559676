// The list of traces, with a scatter above it and a search.

import { link, go } from "./app.js";
import { Scatter } from "./charts.js";
import { h, put, Rows } from "./dom.js";
import { ago, clock, count, duration, hue } from "./format.js";
import { icon } from "./icons.js";

/** Makes a search field: what is typed is told after a pause. */
export function searchField({ value, hint, told }) {
  let timer = 0;
  const field = h("input", { type: "search", placeholder: hint, "aria-label": "Search", value, spellcheck: "false", autocomplete: "off", maxlength: 1000,
    on: { input: () => { clearTimeout(timer); timer = setTimeout(() => told(field.value), 220); }, keydown: (event) => { if (event.key === "Enter") { clearTimeout(timer); told(field.value); field.blur(); } } } });
  const box = h("label", { class: "search" }, icon("search"), field, h("kbd", {}, "/"));
  return { box, field };
}

/** Makes buttons that put a word into a search, or take it out. */
export function words(field, told, list) {
  const buttons = list.map(([name, word]) => h("button", { type: "button", class: "word", "data-word": word, on: { click: () => {
    const parts = field.value.split(/\s+/).filter(Boolean);
    const there = parts.includes(word);
    const key = word.split(":")[0];
    const kept = parts.filter((part) => part !== word && !(word.includes(":") && part.startsWith(`${key}:`)));
    field.value = [...kept, ...(there ? [] : [word])].join(" ");
    told(field.value);
  } } }, name));
  const mark = () => { for (const button of buttons) button.setAttribute("aria-pressed", field.value.split(/\s+/).includes(button.dataset.word)); };
  mark();
  return { box: h("div", { class: "words" }, buttons), mark };
}

/** Names words of a search that say nothing of what is searched. */
export const odd = (words, what) => words?.length > 0 && h("span", { class: "odd warn" }, words.map((word, at) => [at > 0 && ", ", h("code", {}, word)]), ` ${words.length > 1 ? "say" : "says"} nothing of ${what}`);

export function show(root, path, params, context) {
  let query = params.q ?? "";
  let list = { traces: [] };
  let items = [];
  let chosen = null;
  let at = -1;
  let asked = 0;

  const told = (typed) => {
    query = typed.trim();
    go(link("traces", [], { q: query }), true);
    chosen = null;
    at = -1;
    scroller.scrollTop = 0;
    toggles.mark();
    load();
  };
  const { box, field } = searchField({ value: query, hint: "service:orders status:error >100ms http.route=/orders or any text", told });
  const toggles = words(field, told, [["failed", "status:error"], [">100 ms", ">100ms"], [">1 s", ">1s"]]);
  const facts = h("span", { class: "muted facts-line" });
  const scatter = new Scatter({ open: (id) => go(link("trace", [id])), choose: (range) => { chosen = range; sift(); } });
  const scroller = h("div", { class: "scroller", tabindex: 0, "aria-label": "Traces" });
  const empty = h("div", { class: "empty", hidden: true });
  root.append(h("div", { class: "tools-line" }, box, toggles.box, facts), scatter.element,
    h("div", { class: "list" }, h("div", { class: "head trace-row" }, ["Heard", "Trace", "Services", "Spans", "Duration"].map((name) => h("span", {}, name))), scroller, empty));

  let most = 1;
  const rows = new Rows(scroller, matchMedia("(max-width: 640px)").matches ? 56 : 38, (trace, index) => h("a", { class: `trace-row${trace.errors ? " bad" : ""}${index === at ? " at" : ""}`, href: link("trace", [trace.id]), title: trace.id },
    h("span", { class: "when", title: `began ${clock(trace.start)} by the sender's clock` }, ago(trace.heard, context.now)),
    h("span", { class: "what" }, h("i", { class: "dot", css: { "--hue": hue(trace.service) } }), h("b", {}, trace.service), h("span", {}, trace.name), trace.errors > 0 && h("em", {}, trace.failed ? "failed" : `${trace.errors} failed within`), !trace.rooted && h("em", { class: "soft" }, "no root")),
    h("span", { class: "who" }, trace.services.slice(0, 8).map(([name, spans, errors]) => h("i", { class: `dot${errors ? " bad" : ""}`, css: { "--hue": hue(name) }, title: `${name}: ${spans} spans${errors ? `, ${errors} failed` : ""}` })), trace.services.length > 8 && `+${trace.services.length - 8}`),
    h("span", { class: "many" }, count(trace.spans), trace.logs > 0 && h("small", { title: "log lines" }, ` +${count(trace.logs)}`)),
    h("span", { class: "long" }, h("i", { class: "measure", css: { "--part": Math.max(0.004, trace.duration / most) } }), h("span", {}, duration(trace.duration)))));

  function sift() {
    items = chosen ? list.traces.filter((trace) => trace.heard >= chosen[0] && trace.heard <= chosen[1]) : list.traces;
    most = items.reduce((most, trace) => Math.max(most, trace.duration), 1e-6);
    rows.set(items, (trace) => `${trace.id} ${trace.spans} ${trace.logs} ${trace.errors} ${most} ${ago(trace.heard, context.now)}`);
    scatter.set(list.traces, chosen);
    put(facts, items.length === list.all ? `${count(list.all)} traces` : `${count(items.length)} of ${count(list.all)} traces`, odd(list.odd, "traces"), chosen && h("button", { class: "word", type: "button", on: { click: () => { chosen = null; sift(); } } }, "all times"));
    empty.hidden = items.length > 0;
    scatter.element.classList.toggle("nothing", !list.traces.length);
    if (!items.length) put(empty, query
      ? [h("h2", {}, "No trace matches"), h("p", {}, `${count(list.looked_at)} were looked at. `, h("button", { class: "word", type: "button", on: { click: () => { field.value = ""; told(""); } } }, "Show all"))]
      : [h("h2", {}, "No traces yet"), h("p", {}, "They appear as services send them; the ", h("a", { href: link("map") }, "map"), " says where to.")]);
  }

  async function load() {
    const turn = ++asked;
    const found = await context.ask("traces", { q: query, limit: 1000 });
    if (turn !== asked) return;
    list = found;
    sift();
  }

  const move = (by) => {
    at = Math.max(0, Math.min(items.length - 1, at + by));
    rows.refresh();
    rows.reveal(at);
  };
  return {
    // A list that is read is not moved under the reader.
    async update() { if (scroller.scrollTop < 60 && at < 1) await load(); },
    fail(error) { if (items.length) return; empty.hidden = false; put(empty, h("h2", {}, "The traces could not be read"), h("p", {}, error.message)); },
    moved(path, { q = "" }) { if (q !== query) { field.value = q; query = q; toggles.mark(); load(); } },
    redraw: () => scatter.draw(),
    keys: { j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: () => { if (items[at]) go(link("trace", [items[at].id])); }, Escape: () => { if (query || chosen) { field.value = ""; told(""); } } },
    close() { rows.close(); scatter.close(); },
  };
}

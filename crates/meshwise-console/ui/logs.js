// Log lines as they come, with a search.

import { link, go } from "./app.js";
import { dotted, h, put, Rows } from "./dom.js";
import { clock, count, hue, middle, telling, value } from "./format.js";
import { icon } from "./icons.js";
import { odd, searchField, words } from "./traces.js";

/** So many lines are kept in the page. */
const MOST = 5000;

export function show(root, path, params, context) {
  let query = params.q ?? "";
  let records = [];
  let newest = 0;
  let following = true;
  let chosen = null;
  let at = -1;
  let asked = 0;

  const told = (typed) => {
    query = typed.trim();
    go(link("logs", [], { q: query }), true);
    [records, newest, following, at] = [[], 0, true, -1];
    toggles.mark();
    load();
  };
  const { box, field } = searchField({ value: query, hint: "service:orders level:warn item=tea or any text", told });
  const toggles = words(field, told, [["info", "level:info"], ["warn", "level:warn"], ["error", "level:error"]]);
  const facts = h("span", { class: "muted facts-line" });
  const scroller = h("div", { class: "scroller log-scroller", tabindex: 0, "aria-label": "Log lines" });
  const tail = h("button", { class: "tail", type: "button", hidden: true, on: { click: () => { following = true; bottom(); } } }, "newest");
  const empty = h("div", { class: "empty", hidden: true });
  const panel = h("aside", { class: "panel", hidden: true });
  root.append(h("div", { class: "trace-main" }, h("div", { class: "tools-line" }, box, toggles.box, facts), h("div", { class: "list" }, scroller, empty, tail)), panel);

  const rows = new Rows(scroller, matchMedia("(max-width: 720px)").matches ? 46 : 26, (log, index) => h("div", { class: `log-row ${log.level}${log === chosen ? " on" : ""}${index === at ? " at" : ""}`, role: "button", on: { click: () => choose(log) } },
    h("time", {}, clock(log.time)),
    h("span", { class: `level ${log.level}` }, log.level || "–"),
    h("span", { class: "service" }, h("i", { class: "dot", css: { "--hue": hue(log.service) } }), log.service),
    h("span", { class: "text" }, h("bdi", {}, log.body || log.event), h("span", { class: "fields" }, telling(log.attributes, 8).map(([key, of]) => [" ", h("span", { class: "key" }, key, "="), middle(value(of), 60)]))),
    log.trace ? h("a", { class: "to-trace", href: link("trace", [log.trace], { span: log.span, logs: "1" }), title: "Its trace", on: { click: (event) => event.stopPropagation() } }, "trace") : h("span", {})));
  scroller.addEventListener("scroll", () => {
    following = scroller.scrollTop + scroller.clientHeight > scroller.scrollHeight - 40;
    tail.hidden = following;
  }, { passive: true });

  const bottom = () => { scroller.scrollTop = scroller.scrollHeight; rows.draw(); };

  function choose(log) {
    chosen = log;
    panel.hidden = !log;
    root.classList.toggle("has-panel", Boolean(log));
    rows.refresh();
    if (!log) return;
    const add = (key, of) => () => { field.value = `${field.value} ${/[\s"]/.test(of) ? `"${key}=${of.replaceAll('"', "")}"` : `${key}=${of}`}`.trim(); told(field.value); };
    put(panel, h("header", {}, h("h2", {}, h("span", { class: `level ${log.level}` }, log.level), " ", log.service), h("button", { class: "round", type: "button", "aria-label": "Close", on: { click: () => choose(null) } }, icon("close"))),
      h("p", { class: "mono body-text" }, log.body || log.event),
      log.trace && h("p", { class: "onward" }, h("a", { href: link("trace", [log.trace], { span: log.span, logs: "1" }) }, "Open its trace"), h("button", { class: "word", type: "button", on: { click: () => { field.value = `trace:${log.trace}`; told(field.value); } } }, "All lines of it")),
      h("dl", { class: "pairs" }, [["time", clock(log.time)], ["scope", log.scope], ["event", log.event], ["trace_id", log.trace], ["span_id", log.span]].filter(([, of]) => of).map(([key, of]) => [h("dt", {}, key), h("dd", { class: "mono" }, of)]),
        log.attributes.map(([key, of]) => [h("dt", {}, dotted(key)), h("dd", { class: "mono" }, value(of), h("button", { class: "add", type: "button", title: "Only lines like it", "aria-label": `Only lines with this ${key}`, on: { click: add(key, value(of)) } }, "+"))])));
  }

  async function load() {
    const turn = ++asked;
    const found = await context.ask("logs", { q: query, after: newest || undefined, limit: newest ? 1000 : 500 });
    if (turn !== asked) return;
    // The console was started anew, and counts from the beginning.
    if (found.newest < newest) {
      [records, newest, at] = [[], 0, -1];
      return load();
    }
    newest = found.newest;
    // Batches of several services come one after the other; what happened did not.
    found.records.sort((a, b) => a.time - b.time);
    records = [...records, ...found.records].slice(-MOST);
    rows.set(records, (log) => log.sequence);
    put(facts, `${count(records.length)}${records.length < found.all ? ` of ${count(found.all)}` : ""} lines`, odd(found.odd, "log lines"));
    empty.hidden = records.length > 0;
    if (!records.length) put(empty, query
      ? [h("h2", {}, "No line matches"), h("p", {}, h("button", { class: "word", type: "button", on: { click: () => { field.value = ""; told(""); } } }, "Show all"))]
      : [h("h2", {}, "No log lines yet"), h("p", {}, "Services send them over OTLP with ", h("code", {}, "OTEL_LOGS_EXPORTER=otlp"), ".")]);
    if (following) bottom();
  }

  const move = (by) => { following = false; at = Math.max(0, Math.min(records.length - 1, (at < 0 ? records.length : at) + by)); rows.refresh(); rows.reveal(at); };
  return {
    update: load,
    fail(error) { if (records.length) return; empty.hidden = false; put(empty, h("h2", {}, "The log could not be read"), h("p", {}, error.message)); },
    moved(path, { q = "" }) { if (q !== query) { field.value = q; told(q); } },
    keys: { j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: () => { if (records[at]) choose(records[at]); }, Escape: () => { if (!panel.hidden) choose(null); else if (query) { field.value = ""; told(""); } } },
    close() { rows.close(); },
  };
}

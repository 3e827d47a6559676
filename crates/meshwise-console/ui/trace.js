// One trace: its spans on a common time, what it waited for, and its log lines in between.

import { link, go } from "./app.js";
import { dotted, h, put, Rows } from "./dom.js";
import { clock, count, duration, hue, middle, telling, value } from "./format.js";
import { icon } from "./icons.js";

export function show(root, [id], params, context) {
  let trace;
  let lines = [];
  let folded = new Set();
  let withLogs = params.logs === "1";
  let chosen = params.span ?? null;
  let at = -1;
  let word = "";

  const title = h("div", { class: "trace-title" });
  const logButton = h("button", { type: "button", class: "word", title: "Log lines between the spans (w)", on: { click: () => toggleLogs() } }, "log lines");
  const find = h("input", { type: "search", placeholder: "Find in this trace", "aria-label": "Find in this trace", on: { input: () => { word = find.value.toLowerCase(); rows.refresh(); mark(); } } });
  const hits = h("span", { class: "muted" });
  const scroller = h("div", { class: "scroller waterfall", tabindex: 0, "aria-label": "Spans" });
  const axis = h("div", { class: "axis", "aria-hidden": "true" });
  const panel = h("aside", { class: "panel", hidden: true });
  const empty = h("div", { class: "empty", hidden: true });
  root.append(h("div", { class: "trace-main" }, title, h("div", { class: "tools-line" }, h("label", { class: "search" }, icon("search"), find), hits, logButton), axis, scroller, empty), panel);
  const rows = new Rows(scroller, matchMedia("(max-width: 720px)").matches ? 50 : 30, (line, index) => (line.span ? spanRow(line, index) : logRow(line, index)));

  const whole = () => Math.max(1e-3, trace.duration * 1000);
  const share = (micros) => `${((micros / whole()) * 100).toFixed(3)}%`;

  function has(line) {
    if (!word) return true;
    const { span, log } = line;
    const text = span ? [span.service, span.name, span.message, ...(span.more?.attributes ?? []).flat().map(value)] : [log.body, log.service, ...log.attributes.flat().map(value)];
    return text.some((part) => part?.toLowerCase().includes(word));
  }

  function spanRow(line, index) {
    const { span, kids, logs } = line;
    const fold = kids > 0 ? h("button", { class: "fold", type: "button", tabindex: -1, "aria-label": folded.has(span.id) ? "Unfold" : "Fold", "aria-expanded": !folded.has(span.id), on: { click: (event) => { event.stopPropagation(); toggle(span.id); } } }, icon("next")) : h("span", { class: "fold" });
    const end = span.start + span.duration;
    // Beside the bar where there is place, or else within it.
    const place = end / whole() < 0.72 ? "" : span.start / whole() > 0.3 ? " left" : " within";
    const ticks = (span.more?.events ?? []).slice(0, 30).map((event) => h("i", { class: `tick${/exception|error/i.test(event.name) ? " bad" : ""}`, css: { left: share(event.at) }, title: `${event.name} at ${duration(event.at / 1000)}` }));
    const marks = logs.slice(0, 30).map((log) => h("i", { class: `tick log ${log.level}`, css: { left: share((log.time - trace.start) * 1000) }, title: log.body }));
    return h("div", { class: `span-row${span.failed ? " bad" : span.refused ? " refused" : ""}${span.id === chosen ? " on" : ""}${index === at ? " at" : ""}${has(line) ? "" : " dim"}`, role: "button", "data-span": span.id, css: { "--hue": hue(span.service) }, on: { click: () => choose(span.id) } },
      h("div", { class: "tree", css: { "--depth": Math.min(span.depth, 24) } }, fold, h("i", { class: "dot" }), h("b", {}, middle(span.service, 28)), h("span", { class: "name", title: span.name }, span.name), logs.length > 0 && h("small", { title: "log lines" }, count(logs.length))),
      h("div", { class: "time-line" },
        h("i", { class: `bar ${span.kind}`, css: { left: share(span.start), width: `max(2px, ${share(span.duration)})` } }),
        span.critical.map(([from, to]) => h("i", { class: "critical", css: { left: share(from), width: `max(1px, ${share(to - from)})` } })),
        ticks, marks,
        h("span", { class: `length${place}`, css: place === " left" ? { right: `calc(100% - ${share(span.start)} + 6px)` } : place ? { right: `calc(100% - ${share(end)} + 8px)` } : { left: `calc(${share(end)} + 12px)` } }, duration(span.duration / 1000), (span.failed || span.refused) && span.message && h("em", {}, middle(span.message, 60)))));
  }

  function logRow({ log, depth }, index) {
    return h("div", { class: `span-row log-line ${log.level}${index === at ? " at" : ""}${has({ log }) ? "" : " dim"}`, role: "button", on: { click: () => chooseLog(log) } },
      h("div", { class: "tree", css: { "--depth": Math.min(depth + 1, 25) } }, h("span", { class: `level ${log.level}` }, log.level || "log"), h("span", { class: "name mono", title: log.body }, log.body)),
      h("div", { class: "time-line" }, h("span", { class: "fields mono" }, h("span", { class: "after" }, `+${duration(Math.max(0, log.time - trace.start))}`), telling(log.attributes, 6).map(([key, of]) => [h("span", { class: "key" }, key, "="), middle(value(of), 40), " "]))));
  }

  function arrange() {
    const logs = new Map();
    for (const log of trace.records) (logs.get(log.span) ?? logs.set(log.span, []).get(log.span)).push(log);
    const kids = new Map();
    for (const span of trace.tree) if (span.parent) kids.set(span.parent, (kids.get(span.parent) ?? 0) + 1);
    lines = [];
    let under = Infinity;
    for (const span of trace.tree) {
      if (span.depth > under) continue;
      under = folded.has(span.id) ? span.depth : Infinity;
      const own = logs.get(span.id) ?? [];
      logs.delete(span.id);
      lines.push({ span, kids: kids.get(span.id) ?? 0, logs: own });
      if (withLogs) for (const log of own) lines.push({ log, depth: span.depth });
    }
    if (withLogs) for (const rest of logs.values()) for (const log of rest) lines.push({ log, depth: 0 });
    rows.set(lines, () => null);
    rows.refresh();
    logButton.setAttribute("aria-pressed", withLogs);
    put(logButton, `${count(trace.logs)} log line${trace.logs === 1 ? "" : "s"}`);
    logButton.disabled = !trace.logs;
  }

  function mark() {
    put(hits, word ? `${lines.filter(has).length} found` : "");
  }

  function head() {
    // Of those that fail of themselves, the one that ended first.
    const blamed = new Set(trace.tree.filter((span) => span.failed).map((span) => span.parent));
    const [failed] = trace.tree.filter((span) => span.failed && !blamed.has(span.id)).sort((a, b) => a.start + a.duration - b.start - b.duration);
    put(title,
      h("a", { class: "round", href: link("traces"), "aria-label": "Back to the list", on: { click: (event) => { if (history.length > 1) { event.preventDefault(); history.back(); } } } }, icon("back")),
      h("div", { class: "names" },
        h("h1", {}, h("i", { class: "dot", css: { "--hue": hue(trace.service) } }), h("b", {}, middle(trace.service, 40)), h("span", {}, trace.name)),
        h("p", {}, h("b", {}, duration(trace.duration)), h("span", {}, `${count(trace.spans)} span${trace.spans === 1 ? "" : "s"}`), h("span", {}, `${trace.services.length} service${trace.services.length === 1 ? "" : "s"}`),
          h("span", {}, clock(trace.start)), h("button", { class: "copy mono", type: "button", title: "Copy the trace's id", on: { click: (event) => { navigator.clipboard?.writeText(trace.id); event.currentTarget.classList.add("done"); } } }, middle(trace.id, 17), icon("copy")))),
      h("div", { class: "services" }, trace.services.map(([name, spans, errors]) => h("span", { class: errors ? "bad" : "" }, h("i", { class: "dot", css: { "--hue": hue(name) } }), middle(name, 28), h("small", {}, spans)))));
    const notes = [];
    if (failed) notes.push(h("button", { type: "button", class: "blame", on: { click: () => choose(failed.id, true) } }, h("b", {}, middle(failed.service, 40)), ` failed first: ${middle(failed.name, 90)}`, failed.message && `: ${middle(failed.message, 90)}`));
    if (trace.skew > 5) notes.push(h("span", { class: "note" }, `Clocks disagree: a span begins ${duration(trace.skew)} before its parent.`));
    if (trace.orphans > 0) notes.push(h("span", { class: "note" }, `${count(trace.orphans)} spans have a parent that is not here: not sent yet, not sampled, or evicted.`));
    if (trace.more_records > 0) notes.push(h("span", { class: "note" }, `${count(trace.more_records)} more log lines are kept than shown.`));
    if (notes.length) title.append(h("div", { class: "trace-notes" }, notes));
    put(axis, h("div", { class: "tree" }), h("div", { class: "time-line" }, [0, 0.25, 0.5, 0.75, 1].map((part) => h("span", { css: { left: `${part * 100}%` } }, duration(trace.duration * part)))));
  }

  const pairs = (list) => h("dl", { class: "pairs" }, list.map(([key, of]) => [h("dt", {}, dotted(key)), h("dd", { class: "mono" }, value(of))]));

  async function choose(span, reveal) {
    chosen = chosen === span && !reveal ? null : span;
    go(link("trace", [id], { span: chosen, logs: withLogs ? "1" : "" }), true);
    rows.refresh();
    if (reveal) rows.reveal(Math.max(0, lines.findIndex((line) => line.span?.id === span)));
    await detail();
  }

  function chooseLog(log) {
    panel.hidden = false;
    root.classList.add("has-panel");
    chosen = null;
    rows.refresh();
    put(panel, h("header", {}, h("h2", {}, h("span", { class: `level ${log.level}` }, log.level), ` ${log.service}`), close()), h("p", { class: "mono body-text" }, log.body), pairs([["time", clock(log.time)], ["span", log.span], ["scope", log.scope], ...log.attributes].filter(([, of]) => of !== "")));
  }

  const close = () => h("button", { class: "round", type: "button", "aria-label": "Close", on: { click: () => { chosen = null; panel.hidden = true; root.classList.remove("has-panel"); rows.refresh(); } } }, icon("close"));

  async function detail() {
    const span = trace?.tree.find((span) => span.id === chosen);
    panel.hidden = !span;
    root.classList.toggle("has-panel", Boolean(span));
    if (!span) return;
    const more = span.more ?? await context.ask(`traces/${id}/spans/${span.id}`);
    if (span.id !== chosen) return;
    const own = trace.records.filter((record) => record.span === span.id);
    const waited = span.critical.reduce((sum, [from, to]) => sum + to - from, 0);
    put(panel,
      h("header", {}, h("h2", {}, h("i", { class: "dot", css: { "--hue": hue(span.service) } }), span.service, h("span", { class: "muted" }, ` ${span.kind}`)), close()),
      h("p", { class: "span-name" }, span.name),
      span.failed && h("p", { class: "failure" }, span.message || "failed"),
      span.refused && h("p", { class: "note" }, "The peer refused it; nothing is broken."),
      h("div", { class: "tiles" }, [["Begins", duration(span.start / 1000)], ["Lasts", duration(span.duration / 1000)], ["Waited for", waited > 0 ? duration(waited / 1000) : "never"]].map(([name, of]) => h("div", { class: "tile" }, h("small", {}, name), h("b", {}, of)))),
      own.length > 0 && [h("h3", {}, "Log lines"), h("ul", { class: "mini-logs" }, own.map((log) => h("li", { class: log.level, on: { click: () => chooseLog(log) } }, h("span", { class: `level ${log.level}` }, log.level), h("span", { class: "mono" }, log.body))))],
      more.attributes.length > 0 && [h("h3", {}, "Attributes"), pairs(more.attributes)],
      more.events.length > 0 && [h("h3", {}, "Events"), more.events.map((event) => h("details", {}, h("summary", {}, h("b", {}, event.name), h("span", { class: "muted" }, ` at ${duration(event.at / 1000)}`)), pairs(event.attributes)))],
      more.links.length > 0 && [h("h3", {}, "Linked"), h("ul", { class: "links" }, more.links.map((to) => h("li", {}, h("a", { class: "mono", href: link("trace", [to.trace], { span: to.span }) }, to.trace === id ? `span ${to.span}` : `trace ${middle(to.trace, 17)}`))))],
      more.dropped.some(Boolean) && h("p", { class: "muted" }, `The sender left out ${more.dropped[0]} attributes, ${more.dropped[1]} events and ${more.dropped[2]} links.`),
      h("details", {}, h("summary", {}, h("b", {}, "Resource"), h("span", { class: "muted" }, ` ${more.scope.filter(Boolean).join(" ")}`)), pairs(more.resource)),
      h("p", { class: "onward" }, h("a", { href: link("logs", [], { q: `trace:${id}` }) }, "Its log lines in the log"), h("a", { href: link("traces", [], { q: `service:${/\s/.test(span.service) ? `"${span.service}"` : span.service} name:"${span.name}"` }) }, "Traces like it")));
  }

  function toggle(span) {
    if (!folded.delete(span)) folded.add(span);
    arrange();
  }

  function toggleLogs() {
    withLogs = !withLogs;
    go(link("trace", [id], { span: chosen, logs: withLogs ? "1" : "" }), true);
    arrange();
  }

  let size = "";
  async function load() {
    const found = await context.ask(`traces/${id}`);
    const grown = `${found.spans} ${found.logs}`;
    if (grown === size) return;
    size = grown;
    trace = found;
    empty.hidden = true;
    head();
    arrange();
    await detail();
  }

  const move = (by) => { at = Math.max(0, Math.min(lines.length - 1, at + by)); rows.refresh(); rows.reveal(at); };
  return {
    update: load,
    fail(error) { if (trace) return; empty.hidden = false; put(empty, h("h2", {}, "This trace is not here"), h("p", {}, error.message), h("p", {}, h("a", { href: link("traces") }, "All traces"))); },
    moved(path, { span = null }) { if (span !== chosen) { chosen = span; rows.refresh(); detail(); } },
    keys: {
      j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
      Enter: () => { const line = lines[at]; if (line?.span) choose(line.span.id); else if (line) chooseLog(line.log); },
      w: toggleLogs,
      Escape: () => { if (!panel.hidden) { chosen = null; detail(); panel.hidden = true; rows.refresh(); } else go(link("traces")); },
    },
    close() { rows.close(); },
  };
}

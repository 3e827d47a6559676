// The map: who calls whom, how much, and what fails.

import { edgeWord, link, quoted } from "./app.js";
import { bars } from "./charts.js";
import { h, keyed, put, s } from "./dom.js";
import { ago, duration, hue, middle, percent, rate, count } from "./format.js";
import { icon } from "./icons.js";
import { layers } from "./layout.js";

const NODE = { width: 176, height: 62 };
const across = (node) => (node?.kind === "user" ? 124 : NODE.width);
const still = matchMedia("(prefers-reduced-motion: reduce)");

export function show(root, [kind, ...ends], params, context) {
  let shape = "";
  let places;
  let chosen = kind ? { kind, ends } : null;
  let frame = 0;
  let sought;
  const paths = new Map();
  const middles = new Map();
  const tracks = s("g", { class: "tracks" });
  const dots = s("g", { class: "dots" });
  const nodes = s("g", { class: "nodes" });
  const labels = s("g", { class: "labels" });
  const drawing = s("svg", { class: "drawing", role: "group", "aria-label": "Service map" },
    s("defs", {}, ["fine", "warn", "bad"].map((level) => s("marker", { id: `arrow-${level}`, class: `arrow ${level}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" }, s("path", { d: "M0 .8 7.5 4 0 7.2z" })))),
    tracks, dots, nodes, labels);
  const stage = h("div", { class: "stage", on: { click: (event) => { if (event.target === stage || event.target === drawing) choose(null); } } }, drawing);
  const legend = h("div", { class: "legend" },
    [["fine", "a call"], ["bad", "fails"], ["warn", "deprecated"], ["dashed", "undeclared"]].map(([name, meaning]) => h("span", {}, h("i", { class: name }), meaning)));
  const empty = h("div", { class: "empty", hidden: true });
  const panel = h("aside", { class: "panel", hidden: true });
  root.append(h("div", { class: "canvas" }, stage, legend, empty), panel);

  const watch = new ResizeObserver(() => { shape = ""; draw(); });
  watch.observe(stage);

  function choose(what) {
    chosen = what;
    context.go(what ? link("map", [what.kind, ...what.ends]) : link("map"), true);
    draw();
    detail();
  }

  const level = (edge) => (edge.share >= 0.05 || edge.breaker === "open" ? "bad" : edge.share > 0 || edge.deprecated.length || edge.breaker === "half_open" ? "warn" : "fine");
  const isChosen = (edge) => chosen?.kind === "edge" && chosen.ends[0] === edge.client && chosen.ends[1] === edge.server;

  function draw() {
    const seen = context.seen?.map;
    if (!seen || !stage.clientWidth) return;
    const nothing = !seen.nodes.length;
    empty.hidden = !nothing;
    legend.hidden = nothing;
    if (nothing) {
      const said = nothingSaid(context);
      if (empty.said !== said) put(empty, EMPTY[empty.said = said](context));
      for (const group of [tracks, nodes, labels, dots]) { group.replaceChildren(); group.keyed = undefined; }
      shape = "";
      return;
    }
    const key = JSON.stringify([seen.nodes.map((node) => node.name), seen.edges.map((edge) => [edge.client, edge.server]), stage.clientWidth, stage.clientHeight]);
    if (key !== shape) {
      shape = key;
      arrange(seen);
    }
    const near = new Set(chosen?.kind === "node" ? seen.edges.filter((edge) => edge.client === chosen.ends[0] || edge.server === chosen.ends[0]).flatMap((edge) => [edge.client, edge.server]) : []);
    if (chosen?.kind === "node") near.add(chosen.ends[0]);
    if (chosen?.kind === "edge") chosen.ends.forEach((end) => near.add(end));
    drawing.classList.toggle("has-chosen", Boolean(chosen));
    keyed(tracks, seen.edges, (edge) => `${edge.client} ${edge.server} ${edge.kind}`, makeTrack, (track, edge) => {
      const name = `${edge.client} ${edge.server} ${edge.kind}`;
      const path = paths.get(name) ?? "";
      const width = Math.min(7, 1.4 + Math.log2(1 + edge.rate) * 0.85);
      const on = isChosen(edge) || (chosen?.kind === "node" && (edge.client === chosen.ends[0] || edge.server === chosen.ends[0]));
      track.setAttribute("class", `track ${level(edge)}${edge.undeclared ? " dashed" : ""}${on ? " on" : ""}`);
      track.setAttribute("aria-label", `${edge.client} calls ${edge.server}, ${rate(edge.rate)}, ${percent(edge.share)} fail`);
      const [wide, thin] = track.children;
      wide.setAttribute("d", path);
      thin.setAttribute("d", path);
      thin.style.setProperty("stroke-width", width.toFixed(2));
      thin.setAttribute("marker-end", `url(#arrow-${level(edge)})`);
      track.edge = edge;
      track.thin = thin;
    });
    keyed(nodes, seen.nodes, (node) => node.name, makeNode, (element, node) => dressNode(element, node, near));
    const many = seen.edges.length > 40;
    keyed(labels, many ? seen.edges.filter((edge) => level(edge) === "bad" || isChosen(edge)) : seen.edges, (edge) => `${edge.client} ${edge.server} ${edge.kind}`, makeLabel, dressLabel);
    stage.classList.toggle("crowded", many);
    // What is chosen, or wrong, is brought into sight once, where the map is larger than the page.
    const wanted = chosen?.ends.at(-1) ?? context.seen.problems.find((problem) => problem.severity >= 2)?.subject;
    if (wanted && wanted !== sought) reveal(wanted);
    sought = wanted;
  }

  function reveal(name) {
    const node = [...nodes.children].find((node) => node.dataset.node === name)?.getBoundingClientRect();
    const frame = stage.getBoundingClientRect();
    if (!node || (node.top >= frame.top && node.bottom <= frame.bottom && node.left >= frame.left && node.right <= frame.right)) return;
    stage.scrollBy((node.left + node.right - frame.left - frame.right) / 2, (node.top + node.bottom - frame.top - frame.bottom) / 2);
  }

  function arrange(seen) {
    const { places: found, layers: columns, tallest } = layers(seen.nodes, seen.edges);
    const down = stage.clientWidth < 640;
    const [along, beside] = down ? [NODE.height + 78, NODE.width + 22] : [NODE.width + Math.min(170, Math.max(96, (stage.clientWidth - 60 - columns * NODE.width) / Math.max(1, columns - 1))), NODE.height + 46];
    const nodes = new Map(seen.nodes.map((node) => [node.name, node]));
    places = new Map();
    for (const [name, { layer, order, of }] of found) {
      const [a, b] = [layer * along, (order - (of - 1) / 2) * beside];
      places.set(name, down ? { x: b, y: a } : { x: a, y: b });
    }
    const [width, height] = down ? [tallest * beside - 22, columns * along - 78] : [columns * along - (along - NODE.width), tallest * beside - 46];
    const margin = 34;
    const left = down ? -width / 2 : 0;
    const top = down ? 0 : -height / 2;
    // Never larger than life by much, never too small to read: past that the stage scrolls.
    const scale = Math.min(2, Math.max(0.55, Math.min((stage.clientWidth - 4) / (width + margin * 2), (stage.clientHeight - 4) / (height + margin * 2))));
    const [w, t] = [Math.max(width + margin * 2, stage.clientWidth / scale), Math.max(height + margin * 2, stage.clientHeight / scale)];
    drawing.setAttribute("viewBox", `${left + width / 2 - w / 2} ${top + height / 2 - t / 2} ${w} ${t}`);
    drawing.style.setProperty("width", `${Math.floor(w * scale)}px`);
    drawing.style.setProperty("height", `${Math.floor(t * scale)}px`);
    if (!down) for (const place of places.values()) place.y += -NODE.height / 2;
    else for (const place of places.values()) place.x += -NODE.width / 2;
    paths.clear();
    middles.clear();
    const gap = along - (down ? NODE.height : NODE.width);
    // Ends of edges are spread over a node's side, in the order of the far ends.
    const side = (name, out) => seen.edges.filter((edge) => (out ? edge.client : edge.server) === name && edge.client !== edge.server)
      .sort((a, b) => { const at = (edge) => { const place = places.get(out ? edge.server : edge.client); return down ? place.x : place.y; }; return at(a) - at(b); });
    for (const edge of seen.edges) {
      const [from, to] = [places.get(edge.client), places.get(edge.server)];
      if (!from || !to) continue;
      const name = `${edge.client} ${edge.server} ${edge.kind}`;
      const spread = (list) => (list.indexOf(edge) + 1) / (list.length + 1);
      const layers = found.get(edge.server).layer - found.get(edge.client).layer;
      if (layers > 1) middles.set(name, gap / 2 / (layers * along - along + gap));
      const [p, q] = [spread(side(edge.client, true)), spread(side(edge.server, false))];
      if (edge.client === edge.server) {
        const [x, y] = [from.x + NODE.width * 0.7, from.y];
        paths.set(name, `M${x} ${y}C${x} ${y - 38} ${x + 40} ${y - 38} ${x + 40} ${y - 3}`);
      } else if (down) {
        const [x1, y1, x2, y2] = [from.x + NODE.width * p, from.y + NODE.height, to.x + NODE.width * q, to.y - 3];
        const bend = Math.max(34, Math.abs(y2 - y1) / 2);
        paths.set(name, `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`);
      } else {
        const [x1, y1, x2, y2] = [from.x + across(nodes.get(edge.client)), from.y + NODE.height * p, to.x - 3, to.y + NODE.height * q];
        const bend = x2 > x1 ? Math.max(40, (x2 - x1) * 0.45) : 120;
        paths.set(name, `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`);
      }
    }
  }

  function makeTrack(edge) {
    const open = () => choose({ kind: "edge", ends: [edge.client, edge.server] });
    return s("g", { class: "track", tabindex: 0, role: "button", "data-edge": `${edge.client}>${edge.server}`, on: { click: open, keydown: (event) => { if (event.key === "Enter") open(); } } },
      s("path", { class: "wide" }), s("path", { class: "thin" }));
  }

  function makeNode(node) {
    const open = () => choose({ kind: "node", ends: [node.name] });
    return s("g", { class: "node", tabindex: 0, role: "button", "data-node": node.name, on: { click: open, keydown: (event) => { if (event.key === "Enter") open(); } } },
      s("rect", { class: "card", width: across(node), height: NODE.height, rx: 11 }),
      s("g", { class: "sign" }), s("text", { class: "name", x: 38, y: 26 }), s("text", { class: "figures", x: 14, y: 47 }),
      s("rect", { class: "health", x: 12, y: NODE.height - 5, width: NODE.width - 24, height: 3, rx: 1.5 }),
      s("rect", { class: "sick", x: 12, y: NODE.height - 5, width: 0, height: 3, rx: 1.5 }));
  }

  function dressNode(element, node, near) {
    const place = places.get(node.name);
    const level = node.share >= 0.05 && node.calls > 2 ? "bad" : node.share > 0 ? "warn" : "fine";
    element.setAttribute("transform", `translate(${place.x} ${place.y})`);
    const gone = context.seen.problems.some((problem) => problem.kind === "gone" && problem.subject === node.name);
    element.setAttribute("class", `node ${node.kind} ${gone && level !== "bad" ? "gone" : level}${node.calls ? "" : " idle"}${near.has(node.name) ? " on" : ""}`);
    element.setAttribute("aria-label", `${node.name}, ${rate(node.rate)}, ${percent(node.share)} fail`);
    const [, sign, name, figures, , sick] = element.children;
    if (!sign.firstChild) {
      if (node.kind === "service") sign.append(s("circle", { cx: 22, cy: 21.5, r: 5.5, class: "hue", css: { "--hue": hue(node.name) } }));
      else { const drawn = icon(node.kind); drawn.setAttribute("x", 13); drawn.setAttribute("y", 13); drawn.setAttribute("width", 17); drawn.setAttribute("height", 17); sign.append(drawn); }
    }
    if (element.named !== node.name) {
      element.named = node.name;
      name.textContent = middle(node.name, 17);
      for (let most = 16; most > 8 && name.getComputedTextLength() > across(node) - 46; most--) name.textContent = middle(node.name, most);
    }
    if (node.name.length > 17 && !element.querySelector("title")) element.append(s("title", {}, node.name));
    figures.replaceChildren();
    if (node.kind === "user") figures.append("calls from outside");
    else if (gone && !node.calls) figures.append(s("tspan", { class: "warn strong" }, "does not answer"));
    else {
      figures.append(s("tspan", { class: "strong" }, rate(node.rate)), s("tspan", { dx: 8 }, `p99 ${duration(node.p99)}`));
      if (node.share > 0) figures.append(s("tspan", { dx: 8, class: level === "bad" ? "bad strong" : "warn" }, percent(node.share)));
    }
    sick.setAttribute("width", ((NODE.width - 24) * Math.min(1, node.share)).toFixed(1));
  }

  function makeLabel(edge) {
    return s("g", { class: "label", on: { click: () => choose({ kind: "edge", ends: [edge.client, edge.server] }) } }, s("rect", { rx: 8, height: 19 }), s("text", {}));
  }

  function dressLabel(element, edge) {
    const track = [...tracks.children].find((track) => track.edge === edge);
    const path = track?.thin;
    if (!path?.getAttribute("d")) return;
    // That of an edge which passes by other nodes lies before the first of them.
    const at = path.getPointAtLength(path.getTotalLength() * (middles.get(`${edge.client} ${edge.server} ${edge.kind}`) ?? 0.5));
    const [box, text] = element.children;
    const parts = [];
    if (edge.breaker === "open") parts.push("breaker open");
    else if (edge.breaker === "half_open") parts.push("breaker half open");
    if (edge.share > 0) parts.push(`${percent(edge.share)} fail`);
    else if (edge.deprecated.length) parts.push("deprecated");
    else if (edge.kind === "messaging") parts.push(`✉ ${rate(edge.rate)}`);
    if (!parts.length) parts.push(rate(edge.rate));
    element.setAttribute("class", `label ${level(edge)}${isChosen(edge) ? " on" : ""}`);
    text.textContent = parts.slice(0, 2).join(" · ");
    const width = text.getComputedTextLength?.() || text.textContent.length * 6.4;
    box.setAttribute("width", width + 16);
    box.setAttribute("x", at.x - width / 2 - 8);
    box.setAttribute("y", at.y - 9.5);
    text.setAttribute("x", at.x - width / 2);
    text.setAttribute("y", at.y + 4);
  }

  // One dot for a call: how many there are is seen before a number is read.
  function flow(time) {
    frame = requestAnimationFrame(flow);
    if (still.matches || document.hidden || time - (flow.last ?? 0) < 33) return;
    flow.last = time;
    const list = [...tracks.children].filter((track) => track.edge?.rate > 0.02).slice(0, 40);
    let used = 0;
    for (const track of list) {
      const { edge, thin } = track;
      const length = thin.getTotalLength?.() ?? 0;
      const flying = Math.max(1, Math.min(6, Math.round(edge.rate * 1.2)));
      for (let at = 0; at < flying && used < 120; at++, used++) {
        const turn = (time / 1900 + at / flying + (track.phase ??= Math.random())) % 1;
        const point = thin.getPointAtLength(turn * length);
        const dot = dots.children[used] ?? dots.appendChild(s("circle", { r: 2.6 }));
        const failing = (Math.floor(time / 1900 + at / flying + track.phase) * 7 + at * 3) % 100 < edge.share * 100;
        dot.setAttribute("cx", point.x.toFixed(1));
        dot.setAttribute("cy", point.y.toFixed(1));
        dot.setAttribute("class", failing ? "bad" : "");
      }
    }
    while (dots.children.length > used) dots.lastChild.remove();
  }
  frame = requestAnimationFrame(flow);

  let asked = 0;
  async function detail() {
    panel.hidden = !chosen;
    root.classList.toggle("has-panel", Boolean(chosen));
    if (!chosen) return;
    const turn = ++asked;
    const seen = context.seen?.map;
    const { kind, ends } = chosen;
    const shown = [kind, ...ends].join(" ");
    const word = kind === "edge" ? edgeWord(...ends) : `service:${quoted(ends[0])}`;
    // Those that failed are shown though others came later.
    const ask = (q) => context.ask("traces", { q, limit: 40, window: Math.max(context.window, 60_000) });
    const lists = await Promise.all([ask(word), ask(`${word} status:error`)]);
    if (turn !== asked || !seen) return;
    const found = [...new Map(lists.flatMap((list) => list.traces).map((trace) => [trace.id, trace])).values()];
    const what = kind === "edge" ? seen.edges.find((edge) => edge.client === ends[0] && edge.server === ends[1]) : seen.nodes.find((node) => node.name === ends[0]);
    panel.of = shown;
    put(panel,
      h("header", {}, h("h2", {}, kind === "edge" ? [ends[0], h("span", { class: "muted" }, " calls "), ends[1]] : ends[0]),
        h("button", { class: "round", type: "button", "aria-label": "Close", on: { click: () => choose(null) } }, icon("close"))),
      what ? figures(what) : h("p", { class: "muted" }, "No calls in the time looked at."),
      what && kind === "edge" && notes(what, context),
      h("h3", {}, "Traces ", h("a", { href: link("traces", [], { q: word }) }, "all")),
      traceList(found, context.now));
  }

  return {
    async update() { draw(); if (!panel.matches(":hover") || !panel.firstChild) await detail(); },
    moved([kind, ...ends]) { chosen = kind ? { kind, ends } : null; draw(); detail(); },
    redraw: draw,
    // What was read of another edge says nothing of this one.
    fail(error) { if (chosen && panel.of !== [chosen.kind, ...chosen.ends].join(" ")) put(panel, h("h2", {}, chosen.ends.join(" calls ")), h("p", { class: "muted" }, error.message)); },
    keys: { Escape: () => choose(null) },
    close() { cancelAnimationFrame(frame); watch.disconnect(); },
  };
}

function figures(what) {
  const tile = (name, value, level = "") => h("div", { class: `tile ${level}` }, h("small", {}, name), h("b", {}, value));
  return [
    h("div", { class: "tiles" },
      tile("Calls", rate(what.rate)), tile("Fail", percent(what.share), what.share >= 0.05 ? "bad" : what.share > 0 ? "warn" : ""),
      tile("p50", duration(what.p50)), tile("p99", duration(what.p99))),
    what.spark && h("figure", { class: "wide-spark" }, bars(what.spark.map(([calls]) => calls), what.spark.map(([, failed]) => failed), { width: 320, height: 44 }), h("figcaption", {}, "calls and failures, the last two minutes")),
  ];
}

function notes(edge, context) {
  const rows = [];
  if (edge.breaker) rows.push([edge.breaker === "closed" ? "" : "bad", h("a", { href: link("guards") }, `Breaker ${edge.breaker.replace("_", " ")}`)]);
  if (edge.ejected) rows.push(["warn", `${count(edge.ejected)} instances ejected`]);
  for (const version of edge.deprecated) rows.push(["warn", h("a", { href: link("apis") }, `Calls ${version}, which is deprecated`)]);
  if (edge.undeclared) rows.push(["warn", `${edge.client} does not declare that it calls ${edge.server}`]);
  if (edge.counted) rows.push(["", "Counted by the caller's own metrics: sampling does not matter"]);
  if (edge.kind === "messaging") rows.push(["", "Messages; durations are those of processing"]);
  return rows.length ? h("ul", { class: "notes" }, rows.map(([level, text]) => h("li", { class: level }, text))) : null;
}

/** Lists traces, those that failed first, then the slowest. */
export function traceList(traces, now) {
  const sorted = [...traces].sort((a, b) => Number(b.errors > 0) - Number(a.errors > 0) || b.duration - a.duration).slice(0, 12);
  const most = Math.max(1e-6, ...sorted.map((trace) => trace.duration));
  if (!sorted.length) return h("p", { class: "muted" }, "No trace is kept of these calls.");
  return h("ul", { class: "trace-list" }, sorted.map((trace) => h("li", {}, h("a", { href: link("trace", [trace.id]), class: trace.errors ? "bad" : "" },
    h("span", { class: "what" }, trace.name || trace.id.slice(0, 8)), h("span", { class: "time" }, duration(trace.duration)),
    h("span", { class: "where" }, trace.errors ? ["fails in ", trace.services.filter(([, , errors]) => errors).map(([name]) => name).join(", ")] : "fine", trace.logs > 0 && ` · ${count(trace.logs)} log line${trace.logs === 1 ? "" : "s"}`), h("span", { class: "time" }, ago(trace.heard, now)),
    h("i", { class: "measure", css: { "--part": trace.duration / most } })))));
}

// Why there is nothing to draw.
function nothingSaid({ status, window }) {
  if (!status) return "welcome";
  if (status.spans + status.logs + status.series > 0) return `quiet ${window}`;
  const { lines = 0, unread = 0 } = status.replay ?? {};
  return unread > 0 && unread === lines ? "unread" : "welcome";
}

const EMPTY = { welcome, unread, "quiet 60000": quiet, "quiet 300000": quiet, "quiet 600000": quiet };

function quiet({ status, window, look }) {
  const longer = [[300_000, "5 minutes"], [600_000, "10 minutes"]].filter(([ms]) => ms > window);
  return [
    h("h2", {}, `No calls in the last ${window > 60_000 ? `${window / 60_000} minutes` : "minute"}`),
    h("p", {}, `Of ${count(status.services.length)} service${status.services.length === 1 ? "" : "s"}, ${count(status.spans)} spans and ${count(status.logs)} log lines are kept.`),
    h("p", { class: "words" }, longer.map(([ms, name]) => h("button", { class: "word", type: "button", on: { click: () => look(ms) } }, `The last ${name}`)),
      h("a", { class: "word", href: link("traces") }, "Traces"), h("a", { class: "word", href: link("logs") }, "Log lines")),
  ];
}

function unread({ status }) {
  return [h("h2", {}, "The session could not be read"), h("p", {}, `The file has ${count(status.replay.lines)} line${status.replay.lines === 1 ? "" : "s"}, and none is OTLP JSON. `, h("code", {}, "--save"), " writes such files, and so does a collector's file exporter.")];
}

function welcome(context) {
  const [grpc, http] = context.status?.otlp ?? ["127.0.0.1:4317", "127.0.0.1:4318"];
  const lines = [
    ["meshwise", `OTEL_EXPORTER_OTLP_ENDPOINT=http://${grpc} cargo run`],
    ["Python", `OTEL_EXPORTER_OTLP_ENDPOINT=http://${grpc} opentelemetry-instrument python app.py`],
    ["Node", `OTEL_EXPORTER_OTLP_ENDPOINT=http://${http} node --require @opentelemetry/auto-instrumentations-node/register app.js`],
    ["Java", `OTEL_EXPORTER_OTLP_ENDPOINT=http://${http} java -javaagent:opentelemetry-javaagent.jar -jar app.jar`],
  ];
  return [
    h("div", { class: "listening" }, h("span", {}), h("span", {}), h("span", {})),
    h("h2", {}, "Nothing heard yet"),
    h("p", {}, "Start a service that sends OTLP here. It shows up by itself."),
    h("dl", { class: "how" }, lines.map(([name, command]) => [h("dt", {}, name), h("dd", {}, h("code", {}, command), h("button", { class: "round", type: "button", "aria-label": `Copy the command for ${name}`, on: { click: (event) => { navigator.clipboard?.writeText(command); event.currentTarget.classList.add("done"); } } }, icon("copy")))])),
  ];
}

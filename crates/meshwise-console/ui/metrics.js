// Rate, errors and duration of each service and operation, and metrics as they were sent.

import { link, go, quoted } from "./app.js";
import { bars, Heat, line } from "./charts.js";
import { h, keyed, put } from "./dom.js";
import { clock, count, duration, hue, measured, middle, number, percent, rate } from "./format.js";

export function show(root, [name, operation], params, context) {
  let services = [];
  let sent = [];
  let open = null;
  let word = "";
  const list = h("nav", { class: "service-list", "aria-label": "Services" });
  const title = h("div", { class: "service-title" });
  const heat = new Heat({ open: (id) => go(link("trace", [id])) });
  const heatBox = h("section", { class: "block" }, h("h3", {}, "How long calls take ", h("small", {}, "darker: more calls; dots: the slowest call of a step, red if it failed")), heat.element);
  const table = h("section", { class: "block" });
  const find = h("input", { type: "search", placeholder: "Find a metric", "aria-label": "Find a metric", on: { input: () => { word = find.value.toLowerCase(); drawSent(); } } });
  const raw = h("section", { class: "block" });
  const rawList = h("div", { class: "metric-list" });
  const body = h("div", { class: "service-body" }, title, heatBox, table, raw);
  const empty = h("div", { class: "empty", hidden: true });
  root.append(list, body, empty);
  put(raw, h("h3", {}, "Metrics as they were sent ", h("label", { class: "search small" }, find)), rawList);

  const level = (figures) => (figures.share >= 0.05 ? "bad" : figures.share > 0 ? "warn" : "");

  function draw() {
    empty.hidden = services.length > 0;
    list.hidden = body.hidden = !services.length;
    if (!services.length) { put(empty, h("h2", {}, "No calls yet"), h("p", {}, "Figures come from spans, from pushed metrics, and from /metrics of services whose ops pages are read.")); return; }
    if (!services.some((service) => service.name === name)) name = services[0].name;
    keyed(list, services, (service) => service.name, () => h("a", {}), (element, service) => {
      element.setAttribute("href", link("metrics", [service.name]));
      element.className = `service-card ${level(service)}`;
      if (service.name === name) element.setAttribute("aria-current", "true"); else element.removeAttribute("aria-current");
      put(element, h("span", { class: "who" }, h("i", { class: "dot", css: { "--hue": hue(service.name) } }), h("b", {}, service.name)), bars(service.spark.calls, service.spark.failed),
        h("span", { class: "figures" }, rate(service.rate), h("span", {}, `p99 ${duration(service.p99)}`), service.share > 0 && h("em", {}, percent(service.share))));
    });
    const service = services.find((service) => service.name === name);
    const shown = operation ? service.operations.find((other) => other.name === operation) ?? service : service;
    put(title, h("h1", {}, h("i", { class: "dot", css: { "--hue": hue(name) } }), name, operation && h("span", {}, operation), operation && h("a", { class: "word", href: link("metrics", [name]) }, "all operations")),
      h("div", { class: "tiles" },
        [["Calls", rate(shown.rate), "", bars(shown.spark.calls, shown.spark.failed)], ["Fail", percent(shown.share), level(shown), line(shown.spark.calls.map((calls, at) => (calls ? shown.spark.failed[at] / calls : NaN)))], ["p50", duration(shown.p50), "", null], ["p99", duration(shown.p99), "", line(shown.spark.p99.map((of) => of ?? NaN))]]
          .map(([label, of, tone, spark]) => h("div", { class: `tile ${tone}` }, h("small", {}, label), h("b", {}, of), spark))));
    put(table, h("h3", {}, "Operations"), service.operations.length === 0 ? h("p", { class: "muted" }, "It served no call in the time looked at.") : h("div", { class: "scroll" }, h("table", { class: "figures-table" },
      h("thead", {}, h("tr", {}, ["Operation", "Calls", "", "Fail", "p50", "p99", ""].map((label) => h("th", {}, label)))),
      h("tbody", {}, service.operations.map((of) => h("tr", { class: of.name === operation ? "on" : "" },
        h("td", {}, h("a", { href: link("metrics", [name, of.name]) }, of.name)), h("td", {}, rate(of.rate)), h("td", { class: "spark-cell" }, bars(of.spark.calls, of.spark.failed)),
        h("td", { class: level(of) }, percent(of.share)), h("td", {}, duration(of.p50)), h("td", {}, duration(of.p99)),
        h("td", {}, h("a", { class: "word", href: link("traces", [], { q: `service:${quoted(name)} ${quoted(`name:${of.name}`)}${of.failed ? " status:error" : ""}` }) }, of.failed ? "failing traces" : "traces"))))))));
  }

  // A counter's total says nothing of how fast it grows.
  const newest = (metric, of) => of?.points.at(-1)?.[1] ?? (metric.shape === "counter" ? null : of?.last);

  function drawSent() {
    raw.hidden = !sent.length;
    const found = sent.filter((metric) => !word || metric.name.toLowerCase().includes(word) || metric.help.toLowerCase().includes(word));
    put(rawList, found.length ? found.slice(0, 300).map((metric) => {
      const first = metric.lines[0];
      const shape = { counter: "a second", histogram: "mean" }[metric.shape] ?? "";
      const last = newest(metric, first);
      return h("details", { open: open === metric.name, class: "metric", on: { toggle: (event) => { if (event.target.open) { open = metric.name; one(metric.name, event.target); } else if (open === metric.name) open = null; } } },
        h("summary", {}, h("span", { class: "mono name", title: metric.help }, metric.name), h("small", { class: "muted" }, [metric.shape, metric.unit, metric.series > 1 ? `${count(metric.series)} series` : ""].filter(Boolean).join(", ")),
          line(first?.points.map(([, of]) => of) ?? []), h("b", {}, measured(last, metric.name, metric.unit), h("small", {}, ` ${shape}`))), h("div", { class: "series" }));
    }) : h("p", { class: "muted" }, "No metric is called so."));
  }

  async function one(metric, element) {
    const [found] = await context.ask(`services/${encodeURIComponent(name)}/metrics`, { name: metric });
    if (!found) return;
    put(element.querySelector(".series"), found.help && h("p", { class: "muted" }, found.help), found.lines.map((of) => h("div", { class: "one-series" },
      h("span", { class: "labels mono" }, of.labels.length ? of.labels.map(([key, value]) => [h("span", { class: "key" }, key, "="), middle(value, 48), " "]) : "no labels"),
      line(of.points.map(([, value]) => value), { width: 200 }), h("b", {}, measured(newest(found, of), found.name, found.unit)),
      of.exemplars.length > 0 && h("span", { class: "exemplars" }, of.exemplars.slice(-4).map(([time, value, trace]) => h("a", { href: link("trace", [trace]), title: `${number(value)} at ${clock(time)}` }, "trace"))))));
  }

  async function load() {
    services = await context.ask("services", { window: context.window });
    draw();
    if (!services.length) return;
    const [found, metrics] = await Promise.all([
      context.ask(`services/${encodeURIComponent(name)}/heat`, { window: Math.max(context.window, 300_000), operation }).catch(() => null),
      context.ask(`services/${encodeURIComponent(name)}/metrics`),
    ]);
    heatBox.hidden = !found?.figures && !found?.calls;
    if (found) heat.set(found);
    sent = metrics;
    // What is being read stays as it is.
    if (!open) drawSent();
  }
  return {
    update: load,
    fail(error) { if (services.length) return; list.hidden = body.hidden = true; empty.hidden = false; put(empty, h("h2", {}, "The figures could not be read"), h("p", {}, error.message)); },
    moved(path) { if (path[0] && path[0] !== name) { open = null; sent = []; } name = path[0] ?? name; operation = path[1]; load(); },
    redraw: () => heat.draw(),
    keys: Object.fromEntries([["j", 1], ["k", -1]].map(([key, by]) => [key, () => { const at = services.findIndex((service) => service.name === name); const next = services[Math.max(0, Math.min(services.length - 1, at + by))]; if (next) go(link("metrics", [next.name])); }])),
    close() { heat.close(); },
  };
}

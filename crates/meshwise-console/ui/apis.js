// Which versions of which APIs are served, until when, and who still calls what.

import { link, quoted } from "./app.js";
import { h, put } from "./dom.js";
import { count, hue, rate } from "./format.js";

const DAY = 86_400_000;

export function show(root, path, params, context) {
  const body = h("div", { class: "api-list" });
  const empty = h("div", { class: "empty", hidden: true });
  root.append(body, empty);

  const day = (text) => (text ? Date.parse(`${text}T00:00:00Z`) : undefined);
  const left = (text) => {
    const days = Math.round((day(text) - context.now) / DAY);
    return days > 0 ? `in ${count(days)} day${days === 1 ? "" : "s"}` : days === 0 ? "today" : `${count(-days)} days ago`;
  };

  function version(api, of, calls) {
    const callers = calls.filter((call) => call.api === api && call.version === of.version && call.calls > 0).sort((a, b) => b.rate - a.rate || b.calls - a.calls);
    const aged = of.state === "deprecated" || of.state === "retired";
    const active = callers.filter((call) => call.rate > 0);
    return h("div", { class: `version ${of.state}${aged && active.length ? " called" : ""}`, "data-version": `${api} ${of.version}` },
      h("div", { class: "which" }, h("b", { class: "mono" }, of.version), h("span", { class: `state ${of.state}` }, of.state)),
      h("div", { class: "dates" }, [["released", of.released], ["deprecated", of.deprecated], ["sunset", of.sunset]].filter(([, date]) => date).map(([name, date]) => h("span", { class: name }, `${name} ${date}`, name === "sunset" && h("small", {}, ` ${left(date)}`))), of.successor && h("span", {}, "then ", h("b", { class: "mono" }, of.successor))),
      h("div", { class: "callers" }, callers.length === 0 ? h("span", { class: "muted" }, aged ? "no one has called it since its service started" : "no calls yet")
        : callers.map((call) => h("a", { class: `caller${aged && call.rate > 0 ? " warn" : ""}`, href: link("map", ["edge", call.caller, api]), title: `${count(call.calls)} calls since the service started` },
          h("i", { class: "dot", css: { "--hue": hue(call.caller || "unknown") } }), call.caller || "unknown caller", call.verified && h("small", { title: "proved by its certificate" }, " ✓"), h("b", {}, call.rate > 0 ? rate(call.rate) : `${count(call.calls)} in all`)))));
  }

  async function load() {
    const services = await context.ask("apis", { window: Math.max(context.window, 60_000) });
    const blocks = services.map((of) => {
      const provides = of.page?.provides ?? [];
      const named = provides.flatMap((api) => [...api.current, ...api.plan, ...api.history].map((version) => `${api.api} ${version.version}`));
      const others = of.calls.filter((call) => !named.includes(`${call.api} ${call.version}`));
      const requires = of.page?.requires ?? [];
      if (!provides.length && !others.length && !requires.length) return null;
      const strays = [...new Set(others.map((call) => call.api))];
      const still = of.calls.filter((call) => call.state === "deprecated" && call.rate > 0).length;
      return { still, element: h("article", { class: "api-block", "data-service": of.service },
        h("header", {}, h("h2", {}, h("i", { class: "dot", css: { "--hue": hue(of.service) } }), of.service), still > 0 && h("span", { class: "state deprecated" }, `${count(still)} still on a deprecated version`), h("a", { class: "word", href: link("traces", [], { q: `service:${quoted(of.service)}` }) }, "traces")),
        provides.map((api) => h("section", {}, h("h3", {}, api.api, h("small", {}, ` ${api.transport}${api.description ? ` · ${api.description}` : ""}`)),
          [...api.current, ...api.plan, ...api.history].sort((a, b) => (a.state === "deprecated" ? 0 : 1) - (b.state === "deprecated" ? 0 : 1)).map((one) => version(api.api, one, of.calls)))),
        strays.map((api) => h("section", {}, h("h3", {}, api), [...new Set(others.filter((call) => call.api === api).map((call) => call.version))].map((name) => version(api, { version: name || "no version", state: others.find((call) => call.api === api && call.version === name).state }, others.map((call) => ({ ...call, version: call.version || "no version" })))))),
        requires.length > 0 && h("section", { class: "requires" }, h("h3", {}, "Calls"), requires.map((need) => h("div", { class: `need ${need.level}` }, h("b", {}, need.api), h("span", { class: "mono" }, need.version), need.resolved && h("span", {}, "gets ", h("span", { class: "mono" }, need.resolved)), need.deprecated && h("span", { class: "state deprecated" }, "deprecated"), need.sunset && h("span", { class: "muted" }, `sunset ${need.sunset}, ${left(need.sunset)}`), need.successor && h("span", {}, "then ", h("b", { class: "mono" }, need.successor)))))) };
    }).filter(Boolean);
    blocks.sort((a, b) => b.still - a.still);
    put(body, blocks.map(({ element }) => element));
    empty.hidden = blocks.length > 0;
    if (!blocks.length) put(empty, h("h2", {}, "No APIs are known"), h("p", {}, "Versions come from ", h("code", {}, "/apis"), " of services whose ops pages are read, and calls from ", h("code", {}, "meshwise_api_calls_total"), "."));
  }
  return { update: load, fail(error) { if (body.firstChild) return; empty.hidden = false; put(empty, h("h2", {}, "The APIs could not be read"), h("p", {}, error.message)); } };
}

// The guards of every peer: breakers, bulkheads, retries, limits.

import { edgeWord, link } from "./app.js";
import { h, put } from "./dom.js";
import { ago, count, duration, percent, rate } from "./format.js";

const RANK = { open: 0, forced_open: 0, half_open: 1, closed: 2 };
const STATE = { open: "open", forced_open: "forced open", half_open: "half open", closed: "closed", forced_closed: "forced closed", disabled: "disabled" };
/** How much of the past a strip shows. */
const PAST = 600_000;

export function show(root, path, params, context) {
  const cards = h("div", { class: "cards" });
  const silent = h("div", { class: "silent" });
  const empty = h("div", { class: "empty", hidden: true });
  root.append(cards, silent, empty);

  const seconds = (value) => (value === null || value === undefined ? "none" : duration(value * 1000));

  function strip(changes) {
    if (!changes?.length) return null;
    const from = context.now - PAST;
    const parts = changes.map(([time, state], at) => [Math.max(from, time), changes[at + 1]?.[0] ?? context.now, state]).filter(([, to]) => to > from);
    return h("div", { class: "strip", title: "The breaker in the last ten minutes" }, parts.map(([begin, end, state]) => h("i", { class: state, css: { left: `${((begin - from) / PAST) * 100}%`, width: `${Math.max(0.6, ((end - begin) / PAST) * 100)}%` } })));
  }

  function meter(name, value, most, text, tone = "") {
    return h("div", { class: `gauge ${tone}` }, h("span", {}, name), h("i", { css: { "--part": most > 0 ? Math.min(1, value / most) : 0 } }), h("b", {}, text));
  }

  function card(service, peer, of) {
    const { breaker, bulkhead, retry, rate_limit: limit } = peer;
    const state = breaker?.state ?? "none";
    const changes = of.breakers[peer.peer];
    const since = changes?.at(-1)?.[0];
    const refused = of.refused.filter(([name]) => name === peer.peer);
    const instances = of.instances.filter(([name, , number]) => name === peer.peer && number > 0);
    const failing = breaker && breaker.calls > 0 ? breaker.failed / breaker.calls : 0;
    return h("article", { class: `card ${state}${of.problem ? " stale" : ""}`, "data-peer": `${service}>${peer.peer}` },
      h("header", {}, h("h2", {}, h("span", { class: "muted" }, `${service} → `), peer.peer), breaker ? h("span", { class: `state ${state}` }, STATE[state] ?? state) : h("span", { class: "state none" }, "no breaker")),
      of.problem ? h("p", { class: "since" }, service, " does not answer: as it was ", of.answered ? ago(of.answered, context.now) : "before") : breaker && h("p", { class: "muted since" }, state === "closed" && changes?.length < 2 ? "since it was first seen" : since && (context.now - since < 1500 ? "just now" : `for ${duration(context.now - since)}`), breaker.open_for && ` · tried again in ${seconds(breaker.open_for)}`),
      strip(changes),
      h("div", { class: "gauges" },
        breaker && meter("Fail", failing, 1, breaker.calls ? `${percent(failing)} of ${count(breaker.calls)}` : "no calls", failing >= 0.5 ? "bad" : failing > 0.05 ? "warn" : ""),
        breaker?.slow > 0 && meter("Slow", breaker.slow_rate, 1, percent(breaker.slow_rate), "warn"),
        bulkhead && meter("In flight", bulkhead.in_use, bulkhead.limit, `${count(bulkhead.in_use)} of ${count(bulkhead.limit)}${bulkhead.waiting ? `, ${count(bulkhead.waiting)} wait` : ""}`, bulkhead.in_use >= bulkhead.limit ? "bad" : bulkhead.in_use > bulkhead.limit * 0.7 ? "warn" : ""),
        retry && meter("Retries", Math.min(retry.budget, 20), 20, retry.budget ? `budget ${count(retry.budget)}` : "budget spent", retry.budget ? "" : "warn")),
      h("dl", { class: "limits" }, [["attempt", seconds(peer.timeout)], ["deadline", seconds(peer.deadline)], retry && ["attempts", count(retry.attempts)], limit && ["limit", rate(limit.per_second)], bulkhead?.adaptive && ["bulkhead", "adapts"]].filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      refused.length > 0 && h("p", { class: "refusals" }, "Refused: ", refused.map(([, reason, number]) => h("span", {}, `${reason.replaceAll("_", " ")} ${rate(number)}`))),
      instances.length > 0 && h("p", { class: "instances" }, instances.map(([, name, number]) => h("span", { class: name }, `${count(number)} ${name.replaceAll("_", " ")}`))),
      h("p", { class: "onward" }, h("a", { href: link("traces", [], { q: `${edgeWord(service, peer.peer)} status:error` }) }, "failing traces"), h("a", { href: link("map", ["edge", service, peer.peer]) }, "on the map")));
  }

  async function load() {
    const services = await context.ask("guards", { window: context.window });
    const all = services.flatMap((of) => (of.page?.peers ?? []).map((peer) => ({ of, peer })));
    all.sort((a, b) => (RANK[a.peer.breaker?.state] ?? 3) - (RANK[b.peer.breaker?.state] ?? 3) || a.of.service.localeCompare(b.of.service) || a.peer.peer.localeCompare(b.peer.peer));
    put(cards, all.map(({ of, peer }) => card(of.service, peer, of)));
    const quiet = services.filter((of) => of.problem);
    put(silent, quiet.length > 0 && h("div", { class: "note" }, h("h3", {}, "Ops pages that do not answer"),
      h("ul", {}, quiet.map((of) => h("li", {}, h("b", {}, of.service), " at ", h("span", { class: "mono" }, of.address), h("span", { class: "muted" }, ` ${of.problem}${of.answered ? `, last heard ${ago(of.answered, context.now)}` : ""}`))))));
    empty.hidden = all.length > 0;
    if (!all.length) put(empty, h("h2", {}, "No guards are known"),
      h("p", {}, "They are read from ", h("code", {}, "/resilience"), " of services that serve ops pages on loopback and say so (the resource attribute ",  h("code", {}, "meshwise.ops.address"), "), and of those that are listed: ", h("code", {}, "cargo meshwise console --ops orders=10.0.0.7:9464"), "."));
  }
  return { update: load, fail(error) { if (cards.firstChild) return; empty.hidden = false; put(empty, h("h2", {}, "The guards could not be read"), h("p", {}, error.message)); } };
}

// What the console itself holds, what it could not keep, and the keys.

import { h, put } from "./dom.js";
import { bytes, count, duration, clock } from "./format.js";
import { icon } from "./icons.js";

let latest;
const line = h("button", { class: "status-line", type: "button", title: "What is kept", on: { click: () => details() } });

export const footer = h("footer", { class: "foot" }, line);

/** Shows the state in the footer. */
export function showStatus(status) {
  latest = status;
  const lost = status.evicted_spans + status.evicted_logs;
  const refused = Object.entries(status.refused).filter(([name]) => name !== "replaced_services").reduce((sum, [, value]) => sum + value, 0);
  put(line,
    h("meter", { class: "memory", min: 0, max: status.budget, value: status.memory, "aria-label": "Memory" }),
    h("span", {}, `${bytes(status.memory)} of ${bytes(status.budget)}`),
    h("span", {}, `${count(status.traces)} traces`), h("span", {}, `${count(status.spans)} spans`), h("span", {}, `${count(status.logs)} log lines`),
    lost > 0 && h("span", { class: "warn" }, `${count(lost)} evicted`),
    refused > 0 && h("span", { class: "warn" }, `${count(refused)} refused`),
    status.replay?.unread > 0 && h("span", { class: "warn" }, `${count(status.replay.unread)} of ${count(status.replay.lines)} lines of the session unreadable`),
    h("span", { class: "otlp" }, `OTLP ${status.otlp.join(", ")}`));
}

function dialog(title, ...content) {
  const box = h("dialog", { class: "sheet", "aria-label": title },
    h("header", {}, h("h2", {}, title), h("button", { class: "round", type: "button", "aria-label": "Close", on: { click: () => box.close() } }, icon("close"))),
    content);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
  document.body.append(box);
  box.showModal();
}

const REFUSED = {
  services: "from services past the limit of 500", replaced_services: "services made place for others", edges: "calls of edges past the limit", series: "readings of series past the limit",
  requests: "requests that could not be read", connections: "requests and connections turned away", targets: "addresses not asked",
};

function details() {
  const status = latest;
  if (!status) return;
  const { came } = status;
  const facts = [
    ["Running for", duration(status.now - status.started)], ["Memory", `${bytes(status.memory)} of ${bytes(status.budget)}`],
    ["Came", `${count(came.spans)} spans, ${count(came.logs)} log lines, ${count(came.points)} points`],
    ["Evicted", `${count(status.evicted_spans)} spans, ${count(status.evicted_logs)} log lines`],
    ["Sent twice", count(came.duplicates)], ["Unreadable", count(came.invalid)], ["Cut", `${count(came.cut)} texts and attributes`], ["Of traces that are full", count(came.trace_full)],
    ...Object.entries(status.refused).filter(([, value]) => value).map(([name, value]) => ["Refused", `${count(value)} ${REFUSED[name]}`]),
    status.replay && ["Session", `${count(status.replay.lines)} lines, ${count(status.replay.unread)} of them unreadable${status.replay.stands_at ? `; it ended at ${clock(status.replay.stands_at)}` : ""}`],
    status.not_saved !== null && ["Not in the session file", `${count(status.not_saved)} requests`],
  ].filter(Boolean);
  dialog("What is kept",
    h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["Service", "Spans", "Log lines", "Series", "Memory", "Evicted", "Clock"].map((name) => h("th", {}, name)))),
      h("tbody", {}, status.services.map((service) => h("tr", {},
        h("td", {}, service.name, service.version && h("small", {}, ` ${service.version}`)), h("td", {}, count(service.spans)), h("td", {}, count(service.logs)), h("td", {}, count(service.series)), h("td", {}, bytes(service.memory)),
        h("td", { class: service.evicted_spans + service.evicted_logs ? "warn" : "" }, count(service.evicted_spans + service.evicted_logs)),
        h("td", { class: Math.abs(service.ahead) > 60_000 ? "warn" : "" }, Math.abs(service.ahead) > 60_000 ? `${duration(Math.abs(service.ahead))} ${service.ahead > 0 ? "ahead" : "behind"}` : "fine")))))),
    status.targets.length > 0 && h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["Ops pages", "Address", "Answered"].map((name) => h("th", {}, name)))),
      h("tbody", {}, status.targets.map((target) => h("tr", {}, h("td", {}, target.service), h("td", { class: "mono" }, target.address), h("td", { class: target.problem ? "warn" : "" }, target.problem ?? (target.answered ? clock(target.answered) : "not yet"))))))));
}

const KEYS = [["g m, g t, g l, g e, g b, g a", "map, traces, logs, metrics, guards, APIs"], ["/", "search"], ["j, k", "next, previous"], ["Enter", "open"], ["Esc", "back, or close"], ["space", "live or still"], ["d", "dark or light"], ["w", "log lines in a trace on or off"], ["?", "this"]];
const SEARCH = [["service:stock status:error", "failed spans of stock"], [">100ms <2s", "by duration"], ["http.route=/orders", "by an attribute"], ["edge:orders>stock", "by a call on the map"], ["level:warn", "log lines of at least warn"], ["name:\"GET /items\"", "by a span's name"], ["ghost", "in any name, message or value"]];

/** Shows the keys. */
export function help() {
  const list = (rows) => h("dl", { class: "keys" }, rows.map(([key, meaning]) => [h("dt", {}, key.split(", ").map((part) => h("kbd", {}, part))), h("dd", {}, meaning)]));
  dialog("Keys and searches", list(KEYS), h("h3", {}, "What a search may hold"), list(SEARCH));
}

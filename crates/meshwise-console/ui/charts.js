// Spark lines, a scatter and a heat map.

import { h, s } from "./dom.js";
import { duration, clock } from "./format.js";

/** Draws bars of calls with their failed part, one a step. */
export function bars(calls, failed, { width = 120, height = 28 } = {}) {
  const most = Math.max(1, ...calls);
  const step = width / Math.max(1, calls.length);
  const rect = (at, from, value, kind) => value > 0 && s("rect", {
    class: kind, x: (at * step).toFixed(1), width: Math.max(0.8, step - 1).toFixed(1),
    y: (height - ((from + value) / most) * height).toFixed(1), height: Math.max(1, (value / most) * height).toFixed(1),
  });
  return s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    calls.map((value, at) => [rect(at, failed?.[at] ?? 0, value - (failed?.[at] ?? 0), "bar"), rect(at, 0, failed?.[at] ?? 0, "bar bad")]));
}

/** Draws a line; gaps where there is no value. */
export function line(values, { width = 120, height = 28 } = {}) {
  const found = values.filter((value) => Number.isFinite(value));
  const [least, most] = [Math.min(0, ...found), Math.max(1e-9, ...found)];
  const x = (at) => (values.length < 2 ? width / 2 : (at / (values.length - 1)) * width);
  const y = (value) => height - 1.5 - ((value - least) / (most - least || 1)) * (height - 3);
  let path = "";
  let pen = "M";
  values.forEach((value, at) => {
    if (!Number.isFinite(value)) { pen = "M"; return; }
    path += `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  });
  const last = values.findLastIndex((value) => Number.isFinite(value));
  return s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    path && s("path", { class: "line", d: path }),
    last >= 0 && s("path", { class: "line", d: `M${(x(last) - 0.1).toFixed(1)} ${y(values[last]).toFixed(1)}h.1`, "stroke-linecap": "round", "stroke-width": 3 }));
}

// A canvas cannot read light-dark(): an element has to say what a colour comes to.
const probe = h("i", { hidden: true });
function colour(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.setProperty("color", `var(${name})`);
  return getComputedStyle(probe).color;
}
const log = (ms) => Math.log10(Math.max(0.05, ms));

function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return { pen, width, height };
}

function axis(pen, width, height, low, high, left) {
  pen.fillStyle = colour("--faint");
  pen.strokeStyle = colour("--line");
  pen.lineWidth = 1;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const y = (ms) => height - 18 - ((log(ms) - low) / (high - low || 1)) * (height - 30);
  for (const ms of [0.1, 1, 10, 100, 1000, 10_000, 100_000]) {
    if (log(ms) < low - 0.001 || log(ms) > high + 0.001) continue;
    pen.globalAlpha = 0.7;
    pen.beginPath();
    pen.moveTo(left, Math.round(y(ms)) + 0.5);
    pen.lineTo(width, Math.round(y(ms)) + 0.5);
    pen.stroke();
    pen.globalAlpha = 1;
    pen.fillText(duration(ms), left - 8, y(ms));
  }
  return y;
}

/** Shows traces by time and duration; a click opens one, a drag chooses some. */
export class Scatter {
  constructor({ open, choose }) {
    Object.assign(this, { open, choose, points: [] });
    this.tip = h("div", { class: "tip", hidden: true });
    this.band = h("div", { class: "band", hidden: true });
    this.canvas = h("canvas", { class: "scatter-canvas", role: "img", "aria-label": "Traces by time and duration" });
    this.element = h("div", { class: "scatter" }, this.canvas, this.band, this.tip);
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("pointerdown", (event) => { this.from = event.offsetX; this.canvas.setPointerCapture(event.pointerId); });
    this.canvas.addEventListener("pointerup", (event) => this.release(event));
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.element);
  }

  set(traces, chosen) {
    this.traces = traces;
    this.chosen = chosen;
    this.draw();
  }

  draw() {
    const traces = this.traces;
    if (!traces || !this.canvas.clientWidth) return;
    const { pen, width, height } = fit(this.canvas);
    const left = 58;
    // The console's own clock: a sender's may be years off.
    let [first, last, low, high] = [Infinity, -Infinity, 0, 2];
    for (const trace of traces) {
      first = Math.min(first, trace.heard);
      last = Math.max(last, trace.heard);
      low = Math.min(low, Math.floor(log(trace.duration)));
      high = Math.max(high, Math.ceil(log(trace.duration)));
    }
    if (!traces.length) return;
    last = Math.max(last, first + 1000);
    const y = axis(pen, width, height, low, high, left);
    const x = (time) => left + 6 + ((time - first) / (last - first)) * (width - left - 14);
    this.time = (px) => first + ((px - left - 6) / (width - left - 14)) * (last - first);
    pen.fillStyle = colour("--faint");
    pen.textBaseline = "alphabetic";
    pen.textAlign = "left";
    pen.fillText(clock(first).replace(/\.\d+$/, ""), left, height - 3);
    pen.textAlign = "right";
    pen.fillText(clock(last).replace(/\.\d+$/, ""), width - 4, height - 3);
    const [fine, bad] = [colour("--accent"), colour("--bad")];
    this.points = traces.map((trace) => ({ x: x(trace.heard), y: y(trace.duration), trace }));
    // Failed ones last, so that they are seen.
    for (const failed of [false, true]) {
      pen.fillStyle = failed ? bad : fine;
      for (const { x, y, trace } of this.points) {
        if ((trace.errors > 0) !== failed) continue;
        pen.globalAlpha = failed ? 0.9 : 0.45;
        pen.beginPath();
        pen.arc(x, y, Math.min(6, 2.2 + Math.sqrt(trace.spans) * 0.25), 0, 7);
        pen.fill();
      }
    }
    pen.globalAlpha = 1;
    this.band.hidden = !this.chosen;
    if (this.chosen) {
      const [from, to] = this.chosen.map(x);
      this.band.style.setProperty("left", `${from}px`);
      this.band.style.setProperty("width", `${Math.max(2, to - from)}px`);
    }
  }

  near(event) {
    let [best, distance] = [null, 196];
    for (const point of this.points) {
      const away = (point.x - event.offsetX) ** 2 + (point.y - event.offsetY) ** 2;
      if (away < distance) [best, distance] = [point, away];
    }
    return best;
  }

  hover(event) {
    const point = this.near(event);
    this.canvas.classList.toggle("over", Boolean(point));
    this.tip.hidden = !point;
    if (!point) return;
    const { trace } = point;
    this.tip.textContent = `${trace.service} · ${trace.name} · ${duration(trace.duration)}${trace.errors ? ` · ${trace.errors} failed` : ""}`;
    const right = point.x > this.canvas.clientWidth / 2;
    this.tip.style.setProperty("left", right ? "auto" : `${point.x + 12}px`);
    this.tip.style.setProperty("right", right ? `${this.canvas.clientWidth - point.x + 12}px` : "auto");
    this.tip.style.setProperty("top", `${Math.max(2, point.y - 14)}px`);
  }

  release(event) {
    const from = this.from;
    this.from = undefined;
    if (from !== undefined && Math.abs(event.offsetX - from) > 8 && this.time) {
      this.choose([Math.min(from, event.offsetX), Math.max(from, event.offsetX)].map((px) => this.time(px)));
      return;
    }
    const point = this.near(event);
    if (point) this.open(point.trace.id);
    else this.choose(null);
  }

  close() { this.watch.disconnect(); }
}

/** Shows how many calls were so long, over time; dots open the slowest call of a step. */
export class Heat {
  constructor({ open }) {
    this.open = open;
    this.tip = h("div", { class: "tip", hidden: true });
    this.canvas = h("canvas", { class: "heat-canvas", role: "img", "aria-label": "Calls by time and duration" });
    this.element = h("div", { class: "heat" }, this.canvas, this.tip);
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("click", (event) => { const dot = this.near(event); if (dot) this.open(dot.trace); });
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.element);
  }

  set(heat) { this.heat = heat; this.draw(); }

  draw() {
    const heat = this.heat;
    if (!heat || !this.canvas.clientWidth) return;
    const { pen, width, height } = fit(this.canvas);
    const left = 58;
    let [least, most, top] = [heat.bounds.length, 0, 1];
    for (const column of heat.columns) {
      column.forEach((calls, row) => {
        if (!calls) return;
        [least, most, top] = [Math.min(least, row), Math.max(most, row), Math.max(top, calls)];
      });
    }
    if (least > most) return;
    // What was before the first call is left out, as far as two minutes remain.
    const first = Math.min(heat.columns.findIndex((column) => column.some(Boolean)), Math.max(0, heat.columns.length - 24));
    least = Math.max(0, least - 2);
    most = Math.min(heat.bounds.length - 1, most + 2);
    const under = least ? heat.bounds[least - 1] : heat.bounds[0] / 1.414;
    const y = axis(pen, width, height, log(under), log(heat.bounds[most]), left);
    const step = (width - left) / (heat.columns.length - first);
    pen.fillStyle = colour("--accent");
    heat.columns.forEach((column, at) => column.forEach((calls, row) => {
      if (!calls || row < least) return;
      pen.globalAlpha = 0.16 + 0.76 * (Math.log1p(calls) / Math.log1p(top));
      const [upper, lower] = [y(heat.bounds[row]), y(row ? heat.bounds[row - 1] : under)];
      pen.fillRect(left + (at - first) * step, upper, Math.max(1, step - 0.6), Math.max(2, lower - upper - 0.6));
    }));
    pen.globalAlpha = 1;
    this.dots = heat.worst.map(([at, ms, trace, failed]) => ({ x: left + (at - first + 0.5) * step, y: y(Math.max(under, ms)), ms, trace, failed }));
    for (const dot of this.dots) {
      pen.fillStyle = dot.failed ? colour("--bad") : colour("--surface");
      pen.strokeStyle = dot.failed ? colour("--surface") : colour("--text");
      pen.lineWidth = 1.2;
      pen.beginPath();
      pen.arc(dot.x, dot.y, 3, 0, 7);
      pen.fill();
      pen.stroke();
    }
    pen.fillStyle = colour("--faint");
    pen.textBaseline = "alphabetic";
    pen.textAlign = "left";
    pen.fillText(clock(heat.from + first * heat.step).replace(/\.\d+$/, ""), left, height - 3);
    pen.textAlign = "right";
    pen.fillText("now", width - 4, height - 3);
  }

  near(event) {
    let [best, distance] = [null, 144];
    for (const dot of this.dots ?? []) {
      const away = (dot.x - event.offsetX) ** 2 + (dot.y - event.offsetY) ** 2;
      if (away < distance) [best, distance] = [dot, away];
    }
    return best;
  }

  hover(event) {
    const dot = this.near(event);
    this.canvas.classList.toggle("over", Boolean(dot));
    this.tip.hidden = !dot;
    if (!dot) return;
    this.tip.textContent = `${dot.failed ? "failed" : "slowest"}: ${duration(dot.ms)} · click opens its trace`;
    const right = dot.x > this.canvas.clientWidth / 2;
    this.tip.style.setProperty("left", right ? "auto" : `${dot.x + 12}px`);
    this.tip.style.setProperty("right", right ? `${this.canvas.clientWidth - dot.x + 12}px` : "auto");
    this.tip.style.setProperty("top", `${Math.max(2, dot.y - 14)}px`);
  }

  close() { this.watch.disconnect(); }
}

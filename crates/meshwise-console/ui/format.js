// Numbers, times and names as people read them.

/** Writes milliseconds. */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 0.0005) return "0";
  if (ms < 1) return `${digits(ms * 1e3)} µs`;
  if (ms < 1000) return `${digits(ms)} ms`;
  if (ms < 60_000) return `${digits(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor(ms / 1000) % 60} s`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ${Math.floor(ms / 60_000) % 60} min`;
  return `${digits(ms / 86_400_000)} days`;
}

function digits(value) {
  return value >= 99.5 ? Math.round(value).toString() : value.toPrecision(value >= 9.95 ? 2 : 2).replace(/\.0$/, "");
}

/** Writes calls a second. */
export function rate(perSecond) {
  if (!perSecond) return "0/s";
  if (perSecond < 0.1) return "<0.1/s";
  return `${perSecond >= 9.95 ? count(perSecond) : perSecond.toFixed(1)}/s`;
}

/** Writes a count. */
export function count(value) {
  if (value < 10_000) return Math.round(value).toLocaleString("en");
  if (value < 1e6) return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)} k`;
  return value < 1e9 ? `${(value / 1e6).toFixed(1)} M` : `${(value / 1e9).toFixed(1)} G`;
}

/** Writes a value of any size. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value.toLocaleString("en");
  if (Math.abs(value) >= 1e6 && Math.abs(value) < 1e12) return count(value);
  if (Math.abs(value) >= 1e12 || (Math.abs(value) < 1e-3 && value !== 0)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

/** Writes a metric's value by its unit. */
export const measured = (of, name, unit) => (of !== undefined && of !== null && (unit === "By" || unit === "bytes" || /_bytes$/.test(name)) ? bytes(of) : number(of));

export const percent = (share) =>
  share > 0 && share < 0.01 ? "<1 %" : `${Math.round(share * 100)} %`;

export function bytes(value) {
  const [unit, name] = value < 1e6 ? [1e3, "KB"] : value < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(value / unit).toFixed(unit > 1e3 && value < unit * 10 ? 1 : 0)} ${name}`;
}

const pad = (value, length = 2) => String(value).padStart(length, "0");

/** Writes a time of day, to the millisecond. */
export function clock(ms) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return "–";
  const day = Math.abs(Date.now() - ms) > 86_400_000 ? `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ` : "";
  return `${day}${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

/** Writes how long ago something was. */
export const ago = (ms, now) => (now - ms < 1500 ? "now" : `${duration(Math.max(0, now - ms))} ago`);

// Hues that are not red or amber, which mean failure and attention.
const HUES = [255, 165, 300, 205, 130, 280, 185, 330, 230, 148];
const known = new Map();

/** Returns the hue of a service, the same in every view. */
export function hue(name) {
  if (!known.has(name)) {
    let hash = 2166136261;
    for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
    // The first of a name's wishes that no other service has yet.
    const taken = new Set(known.values());
    const wishes = HUES.map((_, step) => HUES[(Math.abs(hash) + step) % HUES.length]);
    if (known.size < 5000) known.set(name, wishes.find((wish) => !taken.has(wish)) ?? wishes[0]);
    else return wishes[0];
  }
  return known.get(name);
}

/** Shortens text in its middle. */
export const middle = (text, most) =>
  text.length <= most ? text : `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(-Math.floor(most / 2))}`;

// What the line's own text says, or where in the code it was written: at hand in the panel.
const ASIDE = /^(code\.|target$|thread\.|network\.|server\.|client\.|url\.|user_agent|request_id$|http\.request\.method$|http\.route$|http\.(request|response)\.body|rpc\.(system|method|service)|log\.)/;

/** Returns the attributes of a log line that tell most. */
export const telling = (attributes, most) => attributes.filter(([key]) => !ASIDE.test(key)).slice(0, most);

/** Writes a value of an attribute. */
export const value = (of) => (typeof of === "string" ? of : JSON.stringify(of));

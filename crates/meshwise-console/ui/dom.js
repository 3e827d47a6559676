// Elements by construction: text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || (value === false && !name.startsWith("aria-"))) continue;
    if (name === "on") {
      for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    } else if (name === "css") {
      for (const [property, setting] of Object.entries(value)) element.style.setProperty(property, setting);
    } else if (name === "value") {
      element.value = value;
    } else {
      element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
    }
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Makes an element: h("a", {class: "x", on: {click}}, "text", child). */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** Makes an element of SVG. */
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

/** Writes a dotted name, which may be broken after its dots. */
export const dotted = (name) => String(name).split(/(?<=[._/])/).flatMap((part, at) => (at ? [document.createElement("wbr"), part] : [part]));

/** Replaces all that an element holds. */
export function put(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Makes the children of `parent` those of `items`, and keeps elements whose key stays. */
export function keyed(parent, items, key, make, update) {
  const known = parent.keyed ??= new Map();
  const wanted = new Set();
  let before = null;
  for (const item of items) {
    const id = key(item);
    if (wanted.has(id)) continue;
    wanted.add(id);
    let element = known.get(id);
    if (!element) known.set(id, element = make(item));
    update?.(element, item);
    const next = before ? before.nextSibling : parent.firstChild;
    if (next !== element) parent.insertBefore(element, next);
    before = element;
  }
  for (const [id, element] of known) {
    if (!wanted.has(id)) {
      element.remove();
      known.delete(id);
    }
  }
}

/** Shows only those of many rows that are in sight. `row(item, index)` makes one. */
export class Rows {
  constructor(scroller, height, row) {
    Object.assign(this, { scroller, height, row, items: [], shown: new Map() });
    this.space = h("div", { class: "rows-space" });
    scroller.append(this.space);
    scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(scroller);
  }

  /** Sets the rows; those whose `same` stays are kept. */
  set(items, same = (item) => item) {
    this.items = items;
    this.space.style.setProperty("height", `${items.length * this.height}px`);
    const old = this.shown;
    this.shown = new Map();
    for (const [at, { element, key }] of old) {
      if (at < items.length && same(items[at]) === key) this.shown.set(at, { element, key });
      else element.remove();
    }
    this.same = same;
    this.draw();
  }

  draw() {
    const { scrollTop, clientHeight } = this.scroller;
    const offset = this.offset();
    const from = Math.max(0, Math.floor((scrollTop - offset) / this.height) - 8);
    const to = Math.min(this.items.length, Math.ceil((scrollTop - offset + clientHeight) / this.height) + 8);
    for (const [at, { element }] of this.shown) {
      if (at < from || at >= to) {
        element.remove();
        this.shown.delete(at);
      }
    }
    for (let at = from; at < to; at++) {
      if (this.shown.has(at)) continue;
      const element = this.row(this.items[at], at);
      element.classList.add("row");
      element.style.setProperty("top", `${at * this.height}px`);
      element.style.setProperty("height", `${this.height}px`);
      this.space.append(element);
      this.shown.set(at, { element, key: this.same?.(this.items[at]) });
    }
  }

  /** Draws all rows in sight anew. */
  refresh() {
    for (const { element } of this.shown.values()) element.remove();
    this.shown.clear();
    this.draw();
  }

  // How far below the scroller's top its rows begin, whatever either is positioned by.
  offset() {
    return this.space.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top + this.scroller.scrollTop;
  }

  reveal(at) {
    const top = at * this.height + this.offset();
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop + this.height) this.scroller.scrollTop = top - this.height * 2;
    else if (top > scrollTop + clientHeight - this.height * 2) this.scroller.scrollTop = top - clientHeight + this.height * 3;
    this.draw();
  }

  close() {
    this.watch.disconnect();
  }
}

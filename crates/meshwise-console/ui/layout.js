// Places the nodes of a graph in layers, callers before those whom they call.

/** Returns each node's layer and place in it: Map(name -> {layer, order}), and how many layers there are. */
export function layers(nodes, edges) {
  const names = nodes.map((node) => node.name);
  const out = new Map(names.map((name) => [name, []]));
  const into = new Map(names.map((name) => [name, []]));
  for (const { client, server } of forward(names, edges)) {
    out.get(client).push(server);
    into.get(server).push(client);
  }
  const layer = longest(names, out, into);
  const columns = [];
  for (const name of names) (columns[layer.get(name)] ??= []).push(name);
  const filled = columns.filter(Boolean);
  untangle(filled, out, into);
  const places = new Map();
  filled.forEach((column, at) => column.forEach((name, order) => places.set(name, { layer: at, order, of: column.length })));
  return { places, layers: filled.length, tallest: Math.max(1, ...filled.map((column) => column.length)) };
}

// Leaves out edges that go back to where a walk came from.
function forward(names, edges) {
  const known = new Set(names);
  const out = new Map(names.map((name) => [name, []]));
  const called = new Set();
  for (const edge of edges) {
    if (edge.client === edge.server || !known.has(edge.client) || !known.has(edge.server)) continue;
    out.get(edge.client).push(edge);
    called.add(edge.server);
  }
  const state = new Map();
  const kept = [];
  // Roots first, so that what calls lies before what is called.
  const starts = [...names.filter((name) => !called.has(name)), ...names];
  for (const start of starts) {
    if (state.has(start)) continue;
    const stack = [[start, 0]];
    state.set(start, "open");
    while (stack.length) {
      const top = stack[stack.length - 1];
      const edge = out.get(top[0])[top[1]++];
      if (!edge) {
        state.set(top[0], "done");
        stack.pop();
      } else if (state.get(edge.server) !== "open") {
        kept.push(edge);
        if (!state.has(edge.server)) {
          state.set(edge.server, "open");
          stack.push([edge.server, 0]);
        }
      }
    }
  }
  return kept;
}

function longest(names, out, into) {
  const layer = new Map(names.map((name) => [name, 0]));
  const waiting = new Map(names.map((name) => [name, into.get(name).length]));
  const open = names.filter((name) => !waiting.get(name));
  while (open.length) {
    const name = open.pop();
    for (const next of out.get(name)) {
      layer.set(next, Math.max(layer.get(next), layer.get(name) + 1));
      waiting.set(next, waiting.get(next) - 1);
      if (!waiting.get(next)) open.push(next);
    }
  }
  return layer;
}

// Orders each layer by the middle of what its nodes are tied to, back and forth.
function untangle(columns, out, into) {
  for (const column of columns) column.sort();
  const place = new Map();
  const note = (column) => column.forEach((name, at) => place.set(name, (at + 0.5) / column.length));
  columns.forEach(note);
  const sort = (column, ties) => {
    const middle = new Map(column.map((name) => {
      const found = ties.get(name).map((tie) => place.get(tie));
      return [name, found.length ? found.reduce((a, b) => a + b) / found.length : place.get(name)];
    }));
    column.sort((a, b) => middle.get(a) - middle.get(b) || (a < b ? -1 : 1));
    note(column);
  };
  for (let round = 0; round < 6; round++) {
    for (const column of columns.slice(1)) sort(column, into);
    for (const column of columns.slice(0, -1).reverse()) sort(column, out);
  }
}

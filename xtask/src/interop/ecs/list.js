// Prints, of npm's `@elastic/ecs` in the folder given: for `fields`, the list that meshwise-log has;
// for `json`, everything.
const [folder, what] = process.argv.slice(-2);
const { EcsFlat: all, EcsVersion: version } = require(folder);
// Types that hold one value; the others' values would be objects.
const letters = {
  keyword: 'k', wildcard: 'k', match_only_text: 'k', text: 'k', long: 'l', integer: 'i', float: 'f',
  double: 'f', half_float: 'f', scaled_float: 'f', boolean: 'b', date: 'd', ip: 'a',
};
// What only security analysts fill is four fifths of the list, and in no service's own lines.
const left = (name) => /(^|\.)entity\.|^threat\.|\.(pe|elf|macho)\./.test(name);
const names = Object.keys(all).filter((name) => letters[all[name].type] && !left(name));
const found = new Map(names.map((name) => [name, letters[all[name].type]]));
for (const name of names) {
  for (const { relation, attribute } of all[name].otel || []) {
    if (relation === 'equivalent' && attribute && !all[attribute]) found.set(attribute, `>${name}`);
  }
}
const sorted = [...found].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
const list = [`# ${version}`, ...sorted.map((line) => line.join(' '))].join('\n');
console.log(what === 'json' ? JSON.stringify(all) : list);

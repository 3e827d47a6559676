"""Judges lines by ECS's own field list and by an Elasticsearch's `_bulk`.

judge.py FIELDS.json LINES URL; prints one sentence, or fails with all that is wrong.
"""

import ipaddress
import json
import re
import sys
import urllib.request

fields_file, lines_file, url = sys.argv[1:]
ECS = {name: field["type"] for name, field in json.load(open(fields_file)).items()}
FIELDS = json.load(open(fields_file))
OBJECTS = {name[:at] for name in ECS for at in range(len(name)) if name[at] == "."}
OBJECTS |= {name for name, kind in ECS.items() if kind in ("object", "nested", "flattened")}
LEAVES = {name for name in ECS if name not in OBJECTS}
WORDS = {"event.outcome": {"success", "failure", "unknown"}}
# What lines without these have lost on the way.
DEMANDED = ["@timestamp", "log.level", "message", "ecs.version", "log.logger", "service.name"]


def strict(line):
    def unique(pairs):
        names = [name for name, _ in pairs]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"names come twice: {sorted(twice)}")
        return dict(pairs)

    def constant(word):
        raise ValueError(f"{word} is no JSON")

    value = json.loads(line, object_pairs_hook=unique, parse_constant=constant)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def leaves(value, path=""):
    """Gives each value that is no object, with its path: dots in names are steps too."""
    if isinstance(value, dict):
        if path and not value:
            yield path, value
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


def fits(kind, value):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind in ("long", "integer"):
        bits = 63 if kind == "long" else 31
        return whole and -(2**bits) <= value < 2**bits
    if kind in ("float", "double", "scaled_float", "half_float"):
        return number
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "ip":
        try:
            return bool(ipaddress.ip_address(value)) or True
        except ValueError:
            return False
    if kind == "date":
        text = r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d))?"
        return whole or (isinstance(value, str) and re.fullmatch(text, value) is not None)
    return kind in ("keyword", "wildcard", "match_only_text", "text", "constant_keyword")


def wrong(line):
    """Says what the field list has against a line."""
    try:
        line = strict(line)
    except ValueError as error:
        return [str(error)]
    said = [f"{name} is missing" for name in DEMANDED if name not in line]
    paths = {}
    for path, value in leaves(line):
        paths[path] = value
        if not all(path.split(".")):
            said.append(f"{path!r} has an empty step")
        above = [path[:at] for at in range(len(path)) if path[at] == "."]
        said += [f"{path} lies below the leaf {name}" for name in above if name in LEAVES]
        if path in OBJECTS:
            said.append(f"{path}: a value where ECS has an object")
        elif path in ECS:
            if not fits(ECS[path], value):
                said.append(f"{path}: {value!r} is no {ECS[path]}")
            if value not in WORDS.get(path, {value}):
                said.append(f"{path}: {value!r} is none of its words")
        elif path.startswith("labels."):
            if path.count(".") != 1 or not isinstance(value, str):
                said.append(f"{path}: {value!r} is no label")
        elif not path.startswith("meshwise."):
            said.append(f"{path} is not in ECS")
    said += [f"{path} lies below {above}" for path in paths for above in paths if path.startswith(above + ".")]
    return said


def ask(method, path, body, content="application/json"):
    request = urllib.request.Request(url + path, body.encode(), {"Content-Type": content}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def mapping():
    """Makes the index's mapping out of the list."""
    root = {}
    for name, field in FIELDS.items():
        at = root
        *above, last = name.split(".")
        for step in above:
            at = at.setdefault(step, {}).setdefault("properties", {})
        kind = field["type"]
        own = at.setdefault(last, {})
        if kind == "object":
            own.setdefault("properties", {})
        elif kind == "scaled_float":
            own |= {"type": kind, "scaling_factor": field.get("scaling_factor", 1000)}
        else:
            own["type"] = kind
    return {
        "settings": {"index.mapping.total_fields.limit": 10000},
        "mappings": {"date_detection": False, "properties": root},
    }


def refused(index, lines):
    """Gives the lines that the index refuses, with its words."""
    body = "".join('{"index":{}}\n' + line + "\n" for line in lines)
    answer = ask("POST", f"/{index}/_bulk", body, "application/x-ndjson")
    items = [item["index"] for item in answer["items"]]
    assert len(items) == len(lines), f"{len(items)} answers for {len(lines)} lines"
    return {n: item["error"]["reason"] for n, item in enumerate(items) if "error" in item}


ask("PUT", "/by-ecs", json.dumps(mapping()))
ask("PUT", "/by-itself", json.dumps({"mappings": {"date_detection": False}}))

# Lines as they were once, which both judges must refuse: otherwise they judge nothing.
HEAD = {name: "x" for name in DEMANDED} | {"@timestamp": "2026-11-28T09:00:00Z"}
BAD = [
    {"error": "boom"},
    {"log.file": "src/x.rs", "log.line": 1},
    {"network.protocol.version": "1.1"},
    {"user": "ada"},
    {"event.duration": "long"},
    {"source.ip": "unknown"},
]
bad = [json.dumps(HEAD | line) for line in BAD]
for line in bad + ['{"a":1,"a":2}', json.dumps(HEAD | {"event.outcome": "cancelled"})]:
    assert wrong(line), f"the list has nothing against {line}"
missed = set(range(len(bad))) - set(refused("by-ecs", bad))
assert not missed, f"the index takes {[bad[n] for n in missed]}"

lines = open(lines_file).read().splitlines()
complaints = [f"{said}: {line}" for line in lines for said in wrong(line)]
for index in ("by-ecs", "by-itself"):
    complaints += [f"{index}: {said}: {lines[n]}" for n, said in refused(index, lines).items()]
if complaints:
    sys.exit("\n".join(complaints))
paths = {path for line in lines for path, _ in leaves(strict(line))}
for path in ("event.duration", "event.outcome", "error.message", "log.origin.file.name", "http.response.body.bytes",
             "service.node.name", "service.environment", "labels.service_namespace"):
    assert path in paths, f"no line has {path}"
print(f"{len(lines)} lines, {len(paths)} names, all taken")

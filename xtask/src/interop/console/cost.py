"""What the console costs, with the shop's spans, beside another that keeps spans in memory: spans for a second of
one core, what 400 MB hold, how long queries over them take, the first paint, and a million services.

cost.py PEER SESSION: the program of peer.rs, and a session file that the console has saved of the shop.
"""

import base64
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from playwright.sync_api import sync_playwright

PEER, SESSION = sys.argv[1], sys.argv[2]
SPANS = 200_000
TICK = os.sysconf("SC_CLK_TCK")
QUERIES = ("data/map?window=60000", "data/status", "data/traces?limit=1000", "data/traces?q=status:error&limit=1000",
           "data/traces?q=service:stock+%3E1ms&limit=1000", "data/traces?q=http.route%3D/items/%7Bitem%7D/reserve&limit=1000",
           "data/traces?q=nowhere&limit=1000", "data/services?window=60000", "data/services/orders/heat?window=300000",
           "data/logs?limit=500", "api/services", "api/traces?service=orders&limit=20", "api/dependencies?endTs=1&lookback=600000")


class Party:
    """A process that takes spans."""

    def __init__(self, who):
        self.process = subprocess.Popen([PEER, who], stdout=subprocess.PIPE, text=True)
        address, self.page = self.process.stdout.readline().split()
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_send_message_length", 64 << 20)])
        self.export = self.channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")

    def processor(self):
        """Returns the seconds of processor time that it has taken."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1000

    def ask(self, path):
        with urllib.request.urlopen(self.page + path) as answer:
            return json.load(answer)

    def end(self):
        self.channel.close()
        self.process.kill()
        self.process.wait()


class Template:
    """A request with the shop's spans, of which as many as are wanted are made: each has trace ids of its own."""

    def __init__(self, lines):
        request = ExportTraceServiceRequest()
        for line in lines:
            request.MergeFrom(json_format.ParseDict(protobuf(line), ExportTraceServiceRequest()))
        spans = [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        shift = time.time_ns() - max(span.end_time_unix_nano for span in spans)
        for span in spans:
            span.start_time_unix_nano += shift
            span.end_time_unix_nano += shift
        self.spans, self.traces = len(spans), len({span.trace_id for span in spans})
        self.bytes = bytearray(request.SerializeToString())
        self.places = []
        for trace in {span.trace_id for span in spans}:
            at = self.bytes.find(trace)
            while at >= 0:
                self.places.append(at)
                at = self.bytes.find(trace, at + 16)

    def make(self, turn):
        mark = turn.to_bytes(4, "big")
        for at in self.places:
            self.bytes[at:at + 4] = mark
        return bytes(self.bytes)


def protobuf(value):
    """Ids are hexadecimal in OTLP's JSON, and base64 in protobuf's."""
    if isinstance(value, list):
        return [protobuf(part) for part in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {key: base64.b64encode(bytes.fromhex(part)).decode() if key in ids else protobuf(part)
            for key, part in value.items()}


def load(spans):
    """Returns a template of about so many spans: whole traces, each once."""
    with open(SESSION) as session:
        lines = [line for line in map(json.loads, session) if "resourceSpans" in line]
    template = Template(lines)
    assert template.spans > spans // 4, template.spans
    return template


def ingest(template):
    """Spans for a second of one core: in turns, so that what else runs on the machine is the same for both."""
    figures = {"ours": [], "theirs": []}
    requests = SPANS // template.spans
    for _ in range(3):
        for who in figures:
            party = Party(who)
            party.export(template.make(0))
            before = party.processor()
            for turn in range(1, requests + 1):
                party.export(template.make(turn))
            figures[who].append(requests * template.spans / (party.processor() - before))
            party.end()
    ours, theirs = (statistics.median(figures[who]) for who in ("ours", "theirs"))
    print(f"ingest, spans for a second of one core: {ours:,.0f}; otlp-embedded: {theirs:,.0f}; ratio {ours / theirs:.2f}", flush=True)


def keep(template):
    """What 400 MB hold, and queries over 300,000 spans and over all."""
    party = Party("ours")
    turn = 0
    for turn in range(1, 300_000 // template.spans + 2):
        party.export(template.make(turn))
    queries(party)
    while True:
        for _ in range(20):
            turn += 1
            party.export(template.make(turn))
        status = party.ask("data/status")
        if status["evicted_spans"] > 0:
            break
    came = turn * template.spans
    assert status["spans"] + status["evicted_spans"] == came, (status["spans"], status["evicted_spans"], came)
    print(f"kept in {status['budget'] / 1e6:.0f} MB: {status['spans']:,} spans of {status['traces']:,} traces; "
          f"{status['evicted_spans']:,} evicted; resident {party.resident():.0f} MB", flush=True)
    queries(party)
    party.end()


def queries(party):
    spans = party.ask("data/status")["spans"]
    trace = party.ask("data/traces?limit=1")["traces"][0]["id"]
    worst = 0
    for path in (*QUERIES, f"data/traces/{trace}", f"api/traces/{trace}"):
        times = []
        for _ in range(9):
            begin = time.perf_counter()
            with urllib.request.urlopen(party.page + path) as answer:
                size = len(answer.read())
            times.append((time.perf_counter() - begin) * 1000)
        worst = max(worst, statistics.median(times))
        print(f"  {statistics.median(times):7.1f} ms (at worst {max(times):.1f})  {size / 1000:8.1f} KB  {path}", flush=True)
    print(f"queries over {spans:,} spans: {worst:.1f} ms at worst, medians of nine", flush=True)


def paint(template):
    """The first paint with 10,000 traces, and until the map and the list are there."""
    party = Party("ours")
    for turn in range(10_000 // template.traces + 1):
        party.export(template.make(turn))
    traces = party.ask("data/status")["traces"]
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        for view, shows in (("map", "[data-node=orders]"), ("traces", "a.trace-row")):
            first, there = [], []
            for _ in range(7):
                context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
                page = context.new_page()
                page.goto(f"{party.page}#/{view}", wait_until="commit")
                page.locator(shows).first.wait_for()
                there.append(page.evaluate("performance.now()"))
                first.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"))
                context.close()
            print(f"first paint of the {view} with {traces:,} traces: {statistics.median(first):.0f} ms; "
                  f"its content after {statistics.median(there):.0f} ms (medians of seven)", flush=True)
        browser.close()
    party.end()


def crowd():
    """A million services, each with a span."""
    party = Party("ours")
    many, at_once = 1_000_000, 2_000
    begin = party.processor()
    for batch in range(many // at_once):
        request = ExportTraceServiceRequest()
        for at in range(at_once):
            n = batch * at_once + at + 1
            resource = request.resource_spans.add()
            name = resource.resource.attributes.add()
            name.key, name.value.string_value = "service.name", f"service-{n}"
            span = resource.scope_spans.add().spans.add(name="GET", kind=2)
            span.trace_id, span.span_id = n.to_bytes(16, "big"), n.to_bytes(8, "big")
        party.export(request.SerializeToString())
    status = party.ask("data/status")
    assert len(status["services"]) <= 500 and status["memory"] <= status["budget"], status["memory"]
    assert status["spans"] + status["evicted_spans"] == many, status["spans"]
    print(f"a million services: {len(status['services'])} are kept apart, {status['refused']['services']:,} share one place, "
          f"resident {party.resident():.0f} MB, {party.processor() - begin:.1f} s of one core", flush=True)
    party.end()


template = load(500)
print(f"a request has {template.spans} spans of {template.traces} traces, {len(template.bytes) / 1000:.0f} KB", flush=True)
ingest(template)
keep(template)
paint(template)
crowd()

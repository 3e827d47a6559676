"""Receives OTLP over HTTP and decodes it with OpenTelemetry's own package, JSON by protobuf's own mapping;
misbehaves as it is told.

receiver.py PORT MANNER: `accept`, `json` (no other will do), `partial`, `hang`, or a status that the first two requests of each
signal are answered with. GET / tells what was taken.
"""

import base64
import json
import math
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics

PORT, MANNER = int(sys.argv[1]), sys.argv[2]
REFUSED = 2
lock = threading.Lock()
requests, taken, refused = Counter(), Counter(), Counter()
kinds, seen = Counter(), set()
faults = []


def expect(true, what):
    if not true:
        faults.append(what)


def decode(message, body):
    if MANNER == "json":
        # A field that is not known, or a value of another kind, is an error.
        return json_format.ParseDict(as_protobuf(json.loads(body)), message)
    return message.FromString(body)


def as_protobuf(value):
    """Ids are hexadecimal in OTLP's JSON, and base64 in protobuf's; all else is the same."""
    if isinstance(value, list):
        return [as_protobuf(part) for part in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {key: base64.b64encode(bytes.fromhex(part)).decode() if key in ids else as_protobuf(part)
            for key, part in value.items()}


def take_logs(body):
    request = decode(logs.ExportLogsServiceRequest(), body)
    count = 0
    for resource in request.resource_logs:
        names = {a.key for a in resource.resource.attributes}
        expect({"service.name", "telemetry.sdk.language"} <= names, f"resource {names}")
        for scope in resource.scope_logs:
            expect(scope.scope.name == "meshwise" and scope.schema_url, "scope")
            for record in scope.log_records:
                count += 1
                attributes = {a.key: a.value for a in record.attributes}
                expect(len(attributes) == len(record.attributes), "attributes twice")
                if record.body.string_value != "record":
                    continue
                seen.add(attributes["n"].int_value)
                expect(record.severity_number == 9 and record.severity_text == "INFO", "severity")
                expect(attributes["password"].string_value == "[redacted]", "a secret")
                expect(attributes["http.route"].string_value == "/orders/{id}", "an attribute")
                expect(record.time_unix_nano and record.observed_time_unix_nano, "time")
    return count, logs.ExportLogsServiceResponse(
        partial_success=logs.ExportLogsPartialSuccess(rejected_log_records=REFUSED)
    )


def take_metrics(body):
    request = decode(metrics.ExportMetricsServiceRequest(), body)
    count = 0
    for resource in request.resource_metrics:
        names = {a.key for a in resource.resource.attributes}
        expect({"service.name", "telemetry.sdk.language"} <= names, f"resource {names}")
        for scope in resource.scope_metrics:
            expect(scope.scope.name == "meshwise" and scope.schema_url, "scope")
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                count += len(data.data_points)
                kinds[kind] += len(data.data_points)
                for point in data.data_points:
                    expect(0 < point.start_time_unix_nano <= point.time_unix_nano, "start time")
                point = data.data_points[0]
                if metric.name == "load":
                    expect(data.is_monotonic and data.aggregation_temporality == 2, "a sum")
                if metric.name == "load_endless":
                    kinds["endless"] += math.isinf(point.as_double)
                if kind == "histogram":
                    expect(sum(point.bucket_counts) == point.count, "buckets")
                    expect(len(point.bucket_counts) == len(point.explicit_bounds) + 1, "bounds")
                if kind == "exponential_histogram":
                    buckets = sum(point.positive.bucket_counts) + point.zero_count
                    expect(buckets == point.count, "exponential buckets")
                    # 1 is the last value of bucket -1.
                    expect(point.positive.offset == -1, f"offset {point.positive.offset}")
                if metric.name == "load_seconds" and point.exemplars:
                    expect(point.exemplars[0].trace_id[-1] == 7, "an exemplar")
                    kinds["exemplar"] += 1
    return count, metrics.ExportMetricsServiceResponse(
        partial_success=metrics.ExportMetricsPartialSuccess(rejected_data_points=REFUSED)
    )


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/x-protobuf")
        if status >= 400:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        told = {"taken": taken, "refused": refused, "kinds": kinds, "records": len(seen)}
        self.answer(200, json.dumps({**told, "faults": faults[:20]}).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        wanted = "application/json" if MANNER == "json" else "application/x-protobuf"
        expect(self.headers["Content-Type"] == wanted, self.headers["Content-Type"])
        signal = self.path.rsplit("/", 1)[-1]
        with lock:
            requests[signal] += 1
            early = requests[signal] <= 2
        if MANNER == "hang":
            time.sleep(3600)
        if MANNER.isdigit() and early:
            return self.answer(int(MANNER))
        with lock:
            try:
                count, partial = {"logs": take_logs, "metrics": take_metrics}[signal](body)
            except Exception as error:
                expect(False, repr(error))
                return self.answer(400)
            taken[signal] += count
            if MANNER != "partial":
                return self.answer(200)
            refused[signal] += min(REFUSED, count)
            self.answer(200, partial.SerializeToString())

    def log_message(self, *_):
        pass


print("ready", flush=True)
ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()

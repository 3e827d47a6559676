"""OpenTelemetry's own SDK for Python sends all three signals, over gRPC and HTTP, gzipped and plain; the
console must hold each thing once, with what it said."""

import json
import logging
import sys
import time
import urllib.request

from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from grpc import Compression as GrpcCompression

page, grpc, http = sys.argv[1:4]
ORDERS = 250


def ask(path):
    with urllib.request.urlopen(f"{page}/data/{path}") as answer:
        return json.load(answer)


def exporters(way):
    if way.startswith("grpc"):
        gzip = GrpcCompression.Gzip if way.endswith("gzip") else GrpcCompression.NoCompression
        options = {"endpoint": f"http://{grpc}", "insecure": True, "compression": gzip}
        return GrpcSpans(**options), GrpcLogs(**options), GrpcMetrics(**options)
    gzip = Compression.Gzip if way.endswith("gzip") else Compression.NoCompression
    to = lambda signal: {"endpoint": f"http://{http}/v1/{signal}", "compression": gzip}
    return HttpSpans(**to("traces")), HttpLogs(**to("logs")), HttpMetrics(**to("metrics"))


def send(way):
    """Sends orders of one service; returns the last trace's id."""
    spans, logs, metrics = exporters(way)
    resource = Resource.create({"service.name": f"python-{way}", "service.version": "3.2"})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
    meters = MeterProvider([PeriodicExportingMetricReader(metrics, 3_600_000)], resource=resource)
    tracer = tracers.get_tracer("shop", "0.1")
    counter = meters.get_meter("shop").create_counter("shop.orders", unit="{order}")
    duration = meters.get_meter("shop").create_histogram("shop.duration", unit="s")
    logger = logging.getLogger(way)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=loggers))
    for at in range(ORDERS):
        with tracer.start_as_current_span("order", kind=trace.SpanKind.SERVER) as order:
            order.set_attribute("order.number", at)
            order.set_attribute("order.items", ["tea", "piano"])
            order.set_attribute("order.paid", True)
            with tracer.start_as_current_span("reserve", kind=trace.SpanKind.CLIENT) as reserve:
                reserve.set_attribute("peer.service", "stock")
                reserve.add_event("asked", {"attempt": 1})
                if at == ORDERS - 1:
                    reserve.set_status(trace.StatusCode.ERROR, "<b>sold out</b>")
            logger.warning("order %d of %s", at, way, extra={"item": "tea"})
            counter.add(1, {"item": "tea"})
            duration.record(at / 1000, {"item": "tea"})
            last = order.get_span_context().trace_id
    for provider in (tracers, loggers, meters):
        provider.force_flush()
        provider.shutdown()
    return f"{last:032x}"


def check(way, last):
    service = f"python-{way}"
    status = ask("status")
    held = next(found for found in status["services"] if found["name"] == service)
    assert (held["spans"], held["logs"], held["version"]) == (ORDERS * 2, ORDERS, "3.2"), held
    seen = ask(f"traces/{last}")
    order, reserve = seen["tree"]
    attributes = dict(order["more"]["attributes"])
    assert attributes == {"order.number": ORDERS - 1, "order.items": ["tea", "piano"], "order.paid": True}, attributes
    assert (order["kind"], reserve["kind"], reserve["depth"]) == ("server", "client", 1), seen
    assert reserve["failed"] and reserve["message"] == "<b>sold out</b>", reserve
    assert reserve["more"]["events"][0]["name"] == "asked", reserve
    assert order["more"]["scope"] == ["shop", "0.1"], order
    [record] = seen["records"]
    assert record["body"] == f"order {ORDERS - 1} of {way}" and record["level"] == "warn", record
    assert dict(record["attributes"])["item"] == "tea" and record["span"] == order["id"], record
    [counter] = ask(f"services/{service}/metrics?name=shop.orders")
    assert counter["lines"][0]["last"] == ORDERS and counter["lines"][0]["labels"] == [["item", "tea"]], counter
    [duration] = ask(f"services/{service}/metrics?name=shop.duration")
    mean = (ORDERS - 1) / 2 / 1000
    assert duration["shape"] == "histogram" and abs(duration["lines"][0]["last"] - mean) < 1e-9, duration
    failed = ask(f"traces?q=service:{service}+status:error")
    assert [found["id"] for found in failed["traces"]] == [last], failed


WAYS = ["grpc", "grpc-gzip", "http", "http-gzip"]
for way in WAYS:
    check(way, send(way))
status = ask("status")
assert status["came"]["spans"] == ORDERS * 2 * len(WAYS) and status["came"]["duplicates"] == 0, status
assert status["evicted_spans"] == 0 and not any(status["refused"].values()), status
print(f"{status['came']['spans']} spans, {status['came']['logs']} log lines by Python's SDK over {', '.join(WAYS)}: each once")

// OpenTelemetry's own SDK for Node sends all three signals as JSON; the console must hold each once.

const { trace, SpanKind, SpanStatusCode } = require("@opentelemetry/api");
const { BasicTracerProvider, BatchSpanProcessor } = require("@opentelemetry/sdk-trace-base");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-http");
const { LoggerProvider, BatchLogRecordProcessor } = require("@opentelemetry/sdk-logs");
const { OTLPLogExporter } = require("@opentelemetry/exporter-logs-otlp-http");
const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");
const { OTLPMetricExporter } = require("@opentelemetry/exporter-metrics-otlp-http");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const assert = require("node:assert");

const [page, http] = process.argv.slice(2);
const ORDERS = 200;
const ask = async (path) => (await fetch(`${page}/data/${path}`)).json();

async function main() {
  for (const compression of ["none", "gzip"]) {
    const service = `node-${compression}`;
    const resource = resourceFromAttributes({ "service.name": service });
    const to = (signal) => ({ url: `http://${http}/v1/${signal}`, compression });
    const tracers = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(to("traces")), { maxQueueSize: 10_000 })] });
    const loggers = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(to("logs")), maxQueueSize: 10_000 })] });
    const meters = new MeterProvider({ resource, readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(to("metrics")), exportIntervalMillis: 3_600_000 })] });
    const tracer = tracers.getTracer("shop");
    const logger = loggers.getLogger("shop");
    const counter = meters.getMeter("shop").createCounter("shop.orders");
    let last;
    for (let at = 0; at < ORDERS; at++) {
      const span = tracer.startSpan("order", { kind: SpanKind.SERVER, attributes: { "order.number": at, "order.total": 9.5, "order.items": ["tea"] } });
      if (at === ORDERS - 1) span.setStatus({ code: SpanStatusCode.ERROR, message: "sold out" });
      const { traceId, spanId } = span.spanContext();
      logger.emit({ body: { text: "order", number: at }, severityNumber: 9, attributes: { item: "tea", trace: traceId, span: spanId } });
      counter.add(1, { item: "tea" });
      span.end();
      last = traceId;
    }
    for (const provider of [tracers, loggers, meters]) {
      await provider.forceFlush();
      await provider.shutdown();
    }
    const held = (await ask("status")).services.find((found) => found.name === service);
    assert.deepStrictEqual([held.spans, held.logs], [ORDERS, ORDERS]);
    const seen = await ask(`traces/${last}`);
    assert.strictEqual(seen.tree[0].message, "sold out");
    assert.deepStrictEqual(Object.fromEntries(seen.tree[0].more.attributes), { "order.number": ORDERS - 1, "order.total": 9.5, "order.items": ["tea"] });
    const { records } = await ask(`logs?q=service:${service}&limit=1`);
    assert.deepStrictEqual(JSON.parse(records[0].body), { text: "order", number: ORDERS - 1 });
    const [orders] = await ask(`services/${service}/metrics?name=shop.orders`);
    assert.strictEqual(orders.lines[0].last, ORDERS);
  }
  const status = await ask("status");
  assert.strictEqual(status.came.duplicates, 0);
  console.log(`${ORDERS * 2} spans and as many log lines by Node's SDK as JSON, plain and gzipped: each once`);
}

main().catch((error) => { console.error(error); process.exit(1); });

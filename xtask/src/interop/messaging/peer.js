// The other side in Node: amqplib and kafkajs with OpenTelemetry's own instrumentations.
//
//     node peer.js send|take amqplib|kafkajs ADDRESS DESTINATION
//
// `send` sends one message within a span and with baggage; `take` takes one. Each prints one line.

const api = require('@opentelemetry/api');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { AmqplibInstrumentation } = require('@opentelemetry/instrumentation-amqplib');
const { KafkaJsInstrumentation } = require('@opentelemetry/instrumentation-kafkajs');
const { NodeTracerProvider } = require('@opentelemetry/sdk-trace-node');

new NodeTracerProvider().register();
registerInstrumentations({
  instrumentations: [new AmqplibInstrumentation(), new KafkaJsInstrumentation()],
});
const tracer = api.trace.getTracer('peer');
const [, , role, client, address, destination] = process.argv;

function say(line) {
  console.log(JSON.stringify(line));
}

/// Sends within a span; the baggage goes along.
async function within(send) {
  const baggage = api.propagation.createBaggage({ tier: { value: 'gold' } });
  const context = api.propagation.setBaggage(api.context.active(), baggage);
  await api.context.with(context, () =>
    tracer.startActiveSpan('checkout', async (span) => {
      await send();
      span.end();
      say({ trace: span.spanContext().traceId });
    }),
  );
}

function taken(headers) {
  const span = api.trace.getActiveSpan();
  const parent = span?.parentSpanContext?.spanId ?? span?.parentSpanId;
  const texts = Object.entries(headers).map(([name, value]) => [name, value?.toString()]);
  say({ trace: span?.spanContext().traceId, parent, headers: Object.fromEntries(texts) });
}

const HEADERS = { 'x-request-timeout-ms': '60000', 'x-idempotency-key': 'm-1' };

async function amqplib() {
  const connection = await require('amqplib').connect(address);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(destination, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  if (role === 'send') {
    const properties = { headers: { ...HEADERS, number: 7, table: { a: [1, true, null] } } };
    await within(async () => {
      channel.sendToQueue(destination, Buffer.from('tea'), properties);
      await channel.waitForConfirms();
    });
  } else {
    await new Promise((resolve) =>
      channel.consume(destination, (message) => {
        taken(message.properties.headers);
        channel.ack(message);
        resolve();
      }),
    );
    await channel.close();
  }
  await connection.close();
}

async function kafkajs() {
  const { Kafka, logLevel } = require('kafkajs');
  const kafka = new Kafka({ clientId: 'peer', brokers: [address], logLevel: logLevel.ERROR });
  if (role === 'send') {
    const producer = kafka.producer();
    await producer.connect();
    const headers = { ...HEADERS, bytes: Buffer.from([0xff]), several: ['a', 'b'] };
    await within(() => producer.send({ topic: destination, messages: [{ value: 'tea', headers }] }));
    await producer.disconnect();
  } else {
    const consumer = kafka.consumer({ groupId: 'peer' });
    await consumer.connect();
    await consumer.subscribe({ topic: destination, fromBeginning: true });
    await new Promise((resolve) =>
      consumer.run({
        eachMessage: async ({ message }) => {
          taken(message.headers);
          resolve();
        },
      }),
    );
    await consumer.disconnect();
  }
}

(client === 'amqplib' ? amqplib() : kafkajs()).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);

"""Judges messages over real brokers: starts them, is the other side with clients and OpenTelemetry's
instrumentations of its own, kills and restarts what it is told to, and counts effects.

    judge.py --party FILE --shop FILE --scratch FOLDER --node FOLDER --scale tenth|full PART..
"""

import argparse, asyncio, collections, itertools, json, os, pathlib, re, shutil, signal, socket, subprocess, sys, threading, time
import urllib.request

PATIENCE = 90
POSTGRES = next(iter(sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))), None)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait(what, ask, patience=PATIENCE):
    end = time.time() + patience
    last = None
    while time.time() < end:
        try:
            answer = ask()
            if answer:
                return answer
        except Exception as error:  # noqa: BLE001 - whatever a client says, it is asked again
            last = error
        time.sleep(0.1)
    raise AssertionError(f"waited for {what} in vain: {last}")


def connects(port):
    socket.create_connection(("127.0.0.1", port), 1).close()
    return True


class Server:
    """A process that can be killed and started again."""

    def __init__(self, name, command, port, env=None):
        self.name, self.command, self.port, self.env = name, command, port, env
        self.log = open(SCRATCH / f"{name}.log", "ab")
        self.process = None
        # What it must do beyond taking connections before it is started.
        self.serves = lambda: True

    def start(self):
        self.spawn()
        wait(self.name, self.answers)
        return self

    def spawn(self):
        self.process = subprocess.Popen(
            self.command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **(self.env or {})},
        )

    def answers(self):
        # A database does not start while children of the one that was killed hold its memory.
        if self.process.poll() is not None:
            self.spawn()
        return connects(self.port) and self.serves()

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.kill()
        # Erlang's port mapper leaves the process group.
        if port := (self.env or {}).get("ERL_EPMD_PORT"):
            for _ in range(50):
                said = subprocess.run(["epmd", "-port", port, "-kill"], capture_output=True, check=False)
                if said.returncode == 0 and b"not allowed" not in said.stdout + said.stderr:
                    break
                time.sleep(0.1)


class Party:
    """Our side, whose lines are read as they come."""

    def __init__(self, *args, step=False):
        self.lines, self.said, self.more = [], collections.deque(), threading.Condition()
        self.errors = []
        self.process = subprocess.Popen(
            [str(PARTY), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.PIPE if step else subprocess.DEVNULL, text=True,
            env={**os.environ, "RUST_BACKTRACE": "0"},
        )
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            try:
                line = json.loads(line)
            except ValueError:
                continue
            with self.more:
                self.lines.append(line)
                self.more.notify_all()

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line)
            del self.errors[25:-25]

    def until(self, what, wanted, patience=PATIENCE):
        end = time.time() + patience
        with self.more:
            while True:
                found = wanted(self.lines)
                if found:
                    return found
                if not self.more.wait(max(0.0, end - time.time())) and time.time() >= end:
                    raise AssertionError(f"{what} never came: {self.lines[-5:]} {self.errors[-5:]}")

    def ends(self, patience=PATIENCE):
        code = self.process.wait(patience)
        time.sleep(0.2)
        assert code == 0, f"ended with {code}:\n" + "".join(self.errors[:40])
        return self.lines

    def kill(self):
        self.process.kill()
        self.process.wait()

    def metric(self, name, *labels):
        lines = [line["metric"] for line in self.lines if "metric" in line]
        lines = [line for line in lines if line.startswith(name) and all(label in line for label in labels)]
        assert lines, f"no {name} {labels}: {self.lines[-30:]}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


def new(line):
    return line.get("what") == "new"


# The other side's OpenTelemetry.
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

SPANS = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(SPANS))
trace.set_tracer_provider(provider)
TRACER = trace.get_tracer("judge")


def with_tier():
    return context.attach(baggage.set_baggage("tier", "gold"))


def hex_trace(span):
    return format(span.get_span_context().trace_id, "032x")


def hex_span(ids):
    return format(ids.span_id, "016x")


def check_theirs_to_ours(party, root, key):
    """Their producer's trace and baggage have come to our consumer."""
    line = party.until("the order", lambda lines: next((l for l in lines if l.get("key") == key), None))
    assert line["trace"] == hex_trace(root), (line, hex_trace(root))
    assert line["tier"] == "gold", line
    assert line["left"] is not None and int(line["left"]) <= 60_000, line
    return line


def check_ours_to_theirs(sent, ids):
    """Our producer's span is the parent of what their consumer does."""
    assert format(ids.trace_id, "032x") == sent["trace"], (sent, ids)


def node_both_ways(client, address, url, destination):
    """Node's client with OpenTelemetry's instrumentation sends to ours, and takes from ours."""
    environment = {**os.environ, "NODE_PATH": str(NODE)}

    def peer(role, destination):
        command = ["node", str(SCRATCH / "peer.js"), role, client, address, destination]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def said(process):
        out, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        return json.loads(out.splitlines()[-1])

    theirs, ours = f"theirs-{client}", f"ours-{client}"
    with Party("--broker", url, "--destination", theirs, "receive", "--count", "1") as party:
        root = said(peer("send", theirs))
        line = party.until("the order", lambda lines: next((l for l in lines if l.get("key") == "m-1"), None))
        assert (line["trace"], line["tier"]) == (root["trace"], "gold"), (line, root)
        assert 0 < int(line["left"]) <= 60_000, line
        party.ends()
    with Party("--broker", url, "--destination", ours, "send", "--deadline", "30000") as party:
        sent = next(line for line in party.ends() if "sent" in line)
    taken = said(peer("take", ours))
    assert (taken["trace"], taken["parent"]) == (sent["trace"], sent["span"]), (taken, sent)
    assert 0 < int(taken["headers"]["x-request-timeout-ms"]) <= 30_000, taken
    print(f"{destination}: one trace both ways with Node's {client} and OpenTelemetry's instrumentation")


def hangs(server, least):
    """A consumer whose handler hangs: within two seconds lag and age tell, and are 0 at the end."""
    name = server.name
    with Party("--broker", server.url, "--destination", "hangs", "send", "--count", "25") as party:
        party.ends()
    receive = ["--broker", server.url, "--destination", "hangs", "receive", "--count", "25", "--step", "--watch"]
    with Party(*receive, step=True) as party:
        party.until("the first", lambda lines: any(new(line) for line in lines))
        began = time.time()

        def shown(lines, gauge):
            last = next((l["gauge"] for l in reversed(lines) if l.get("gauge", "").startswith(gauge)), None)
            every = [l["gauge"] for l in lines[-60:] if l.get("gauge", "").startswith(gauge)]
            if gauge.endswith("lag_messages"):
                # The newest of each partition.
                newest = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in every}
                return sum(newest.values())
            return float(last.rsplit(" ", 1)[1]) if last else 0.0

        lag, age = "meshwise_consumer_lag_messages", "meshwise_consumer_age_seconds"
        party.until("the lag", lambda lines: shown(lines, lag) >= least, 2)
        told = time.time() - began
        party.until("the age", lambda lines: shown(lines, age) >= 1.0, 2)
        older = shown(party.lines, age)
        party.until("a growing age", lambda lines: shown(lines, age) >= older + 1.0, 3)
        for _ in range(60):
            party.process.stdin.write("\n")
        party.process.stdin.flush()
        party.ends()
        assert party.metric(age) == 0
        assert party.metric(lag) == 0
        assert party.metric("meshwise_messages_settled_total", 'outcome="ack"') >= 25
    print(f"{name}: while a handler hangs, lag (of {least} and more) is told after {told:.1f} s and the age grows; 0 at the end")


# RabbitMQ


def rabbitmq():
    folder = SCRATCH / "rabbitmq"
    folder.mkdir(exist_ok=True)
    port, dist, epmd = free_port(), free_port(), free_port()
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.default = 127.0.0.1:{port}\nmanagement.load_definitions =\n".split("\nmanagement")[0] + "\n"
        "loopback_users = none\nlog.console = true\nlog.console.level = warning\n"
    )
    (folder / "plugins").write_text("[].")
    env = {
        "HOME": str(folder), "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"), "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_NODENAME": f"party{port}@localhost", "RABBITMQ_DIST_PORT": str(dist),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(port),
        "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    server = Server("rabbitmq", ["/usr/lib/rabbitmq/bin/rabbitmq-server"], port, env)
    server.url = f"amqp://guest:guest@127.0.0.1:{port}/%2f"
    return server


def pika_connection(server):
    import pika

    return pika.BlockingConnection(pika.URLParameters(server.url))


def rabbitmq_both_ways(server):
    import pika
    from opentelemetry.instrumentation.pika import PikaInstrumentor

    PikaInstrumentor().instrument()
    wait("AMQP", lambda: pika_connection(server).is_open, 120)
    connection = pika_connection(server)
    channel = connection.channel()
    arguments = {"x-queue-type": "quorum"}
    channel.queue_declare("theirs", durable=True, arguments=arguments)
    with Party("--broker", server.url, "--destination", "theirs", "receive", "--count", "1") as party:
        token = with_tier()
        with TRACER.start_as_current_span("checkout") as root:
            headers = {"x-request-timeout-ms": "60000", "x-number": 7, "x-flag": True, "x-table": {"a": [1, 2]}}
            properties = pika.BasicProperties(message_id="m-1", headers=headers)
            channel.basic_publish("", "theirs", b"tea", properties)
        context.detach(token)
        check_theirs_to_ours(party, root, "m-1")
        lines = party.ends()
        processed = next(line for line in lines if "processed" in line)
        parents = [hex_span(span.get_span_context()) for span in SPANS.get_finished_spans()]
        assert processed["parent"] in parents, (processed, parents)

    channel.queue_declare("ours", durable=True, arguments=arguments)
    with Party("--broker", server.url, "--destination", "ours", "send", "--deadline", "30000") as party:
        sent = next(line for line in party.ends() if "sent" in line)
    seen = []

    def on_message(ch, method, properties, body):
        seen.append((trace.get_current_span().get_span_context(), dict(properties.headers)))
        ch.basic_ack(method.delivery_tag)

    channel.basic_consume("ours", on_message)
    wait("our order", lambda: (connection.process_data_events(0.1), seen)[1])
    ids, headers = seen[0]
    check_ours_to_theirs(sent, ids)
    assert 0 < int(headers["x-request-timeout-ms"]) <= 30_000, headers
    connection.close()
    print("rabbitmq: one trace both ways with pika and OpenTelemetry's instrumentation; baggage, deadline, typed headers")


def aio_pika_both_ways(server):
    import aio_pika
    from opentelemetry.instrumentation.aio_pika import AioPikaInstrumentor

    AioPikaInstrumentor().instrument()

    async def publish():
        connection = await aio_pika.connect(server.url)
        async with connection:
            channel = await connection.channel()
            await channel.declare_queue("theirs-aio", durable=True, arguments={"x-queue-type": "quorum"})
            headers = {"x-request-timeout-ms": "60000", "n": 7}
            message = aio_pika.Message(b"tea", message_id="m-1", headers=headers)
            await channel.default_exchange.publish(message, "theirs-aio")

    async def take():
        seen = asyncio.get_running_loop().create_future()

        async def on_message(message):
            async with message.process():
                seen.set_result(trace.get_current_span().get_span_context())

        connection = await aio_pika.connect(server.url)
        async with connection:
            channel = await connection.channel()
            queue = await channel.get_queue("ours-aio")
            await queue.consume(on_message)
            return await asyncio.wait_for(seen, PATIENCE)

    with Party("--broker", server.url, "--destination", "theirs-aio", "receive", "--count", "1") as party:
        token = with_tier()
        with TRACER.start_as_current_span("checkout") as root:
            asyncio.run(publish())
        context.detach(token)
        check_theirs_to_ours(party, root, "m-1")
        party.ends()
    with Party("--broker", server.url, "--destination", "ours-aio", "send") as party:
        sent = next(line for line in party.ends() if "sent" in line)
    ids = asyncio.run(take())
    check_ours_to_theirs(sent, ids)
    took = next(s for s in SPANS.get_finished_spans() if s.get_span_context().span_id == ids.span_id)
    assert hex_span(took.parent) == sent["span"], (took.parent, sent)
    print("rabbitmq: one trace both ways with aio-pika and OpenTelemetry's instrumentation")


def rabbitmq_requests(server):
    with Party("--broker", server.url, "--destination", "stock", "answer") as answers:
        answers.until("readiness", lambda lines: any("ready" in line for line in lines))
        with Party("--broker", server.url, "--destination", "stock", "request", "--count", "20") as asks:
            said = [line["answer"] for line in asks.ends() if "answer" in line]
    assert len(said) == 20 and all(one.startswith("orders ") and 0 < int(one.split()[1]) <= 1000 for one in said), said
    connection = pika_connection(server)
    connection.channel().queue_declare("silent")
    with Party("--broker", server.url, "--destination", "silent", "request", "--deadline", "300") as asks:
        began = time.time()
        said = asks.ends()
        assert any("unanswered" in line for line in said), said
        assert time.time() - began < 20
    connection.close()
    print("rabbitmq: 20 requests answered with caller and deadline; one unanswered ends at its deadline")


# NATS


def nats():
    port = free_port()
    command = ["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(SCRATCH / "nats")]
    server = Server("nats", command, port)
    server.url = f"nats://127.0.0.1:{port}"
    return server


def nats_both_ways(server):
    import nats as client

    async def publish(root_headers):
        connection = await client.connect(server.url)
        await connection.jetstream().publish("theirs", b"tea", headers=root_headers)
        await connection.close()

    with Party("--broker", server.url, "--destination", "theirs", "receive", "--count", "1") as party:
        party_is_there(server, "theirs")
        token = with_tier()
        with TRACER.start_as_current_span("checkout") as root:
            headers = {}
            propagate.inject(headers)
            # As Go's client writes them.
            headers = {name.title(): value for name, value in headers.items()}
            headers.update({"Nats-Msg-Id": "m-1", "X-Request-Timeout-Ms": "60000"})
            asyncio.run(publish(headers))
        context.detach(token)
        check_theirs_to_ours(party, root, "m-1")
        processed = next(line for line in party.ends() if "processed" in line)
        assert processed["parent"] == hex_span(root.get_span_context()), processed

    with Party("--broker", server.url, "--destination", "ours", "send", "--deadline", "30000") as party:
        sent = next(line for line in party.ends() if "sent" in line)

    async def fetch():
        connection = await client.connect(server.url)
        pull = await connection.jetstream().pull_subscribe("ours", "judge")
        message = (await pull.fetch(1, timeout=20))[0]
        await message.ack()
        await connection.close()
        return message.headers

    headers = asyncio.run(fetch())
    ids = trace.get_current_span(propagate.extract(headers)).get_span_context()
    check_ours_to_theirs(sent, ids)
    assert hex_span(ids) == sent["span"]
    assert 0 < int(headers["x-request-timeout-ms"]) <= 30_000, headers
    print("nats: one trace both ways with nats-py and OpenTelemetry's propagators; baggage, deadline, names in another case")


def party_is_there(server, stream):
    import nats as client

    async def there():
        connection = await client.connect(server.url)
        try:
            return await connection.jetstream().stream_info(stream)
        finally:
            await connection.close()

    wait(f"the stream {stream}", lambda: asyncio.run(there()))


def nats_requests(server):
    with Party("--broker", server.url, "--destination", "stock", "answer") as answers:
        answers.until("readiness", lambda lines: any("ready" in line for line in lines))
        time.sleep(0.3)
        with Party("--broker", server.url, "--destination", "stock", "request", "--count", "20") as asks:
            said = [line["answer"] for line in asks.ends() if "answer" in line]
    assert len(said) == 20 and all(one.startswith("orders ") and 0 < int(one.split()[1]) <= 1000 for one in said), said
    print("nats: 20 requests answered with caller and deadline")


# MQTT


def mqtt():
    port = free_port()
    folder = SCRATCH / "mosquitto"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    (folder / "conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
    )
    server = Server("mosquitto", ["mosquitto", "-c", str(folder / "conf")], port)
    server.url = f"mqtt://127.0.0.1:{port}"
    return server


def mqtt_both_ways(server):
    import paho.mqtt.client as paho
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    seen = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "judge", protocol=paho.MQTTv5)
    client.on_message = lambda _client, _data, message: seen.append(message.properties.UserProperty)
    client.connect("127.0.0.1", server.port)
    client.subscribe("ours", 1)
    client.loop_start()
    with Party("--broker", server.url, "--destination", "theirs", "receive", "--count", "1") as party:
        party.until("readiness", lambda lines: any("ready" in line for line in lines))
        token = with_tier()
        with TRACER.start_as_current_span("checkout") as root:
            headers = {}
            propagate.inject(headers)
            properties = Properties(PacketTypes.PUBLISH)
            properties.UserProperty = [*headers.items(), ("x-idempotency-key", "m-1"), ("x-request-timeout-ms", "60000"), ("note", "a"), ("note", "b")]
            client.publish("theirs", b"tea", qos=1, properties=properties)
        context.detach(token)
        check_theirs_to_ours(party, root, "m-1")
        processed = next(line for line in party.ends() if "processed" in line)
        assert processed["parent"] == hex_span(root.get_span_context()), processed
    with Party("--broker", server.url, "--destination", "ours", "send", "--deadline", "30000") as party:
        sent = next(line for line in party.ends() if "sent" in line)
    wait("our order", lambda: seen)
    client.loop_stop()
    headers = dict(seen[0])
    ids = trace.get_current_span(propagate.extract(headers)).get_span_context()
    check_ours_to_theirs(sent, ids)
    assert hex_span(ids) == sent["span"]
    assert 0 < int(headers["x-request-timeout-ms"]) <= 30_000, headers
    print("mqtt: one trace both ways with paho over Mosquitto; baggage, deadline, repeated properties")


# Kafka


def kafka():
    import noida_db

    binary = pathlib.Path(noida_db.__file__).parent / "noida-db"
    port = free_port()
    command = [str(binary), "start", "--data-dir", str(SCRATCH / "noida"), "--only", "kafka", "--kafka-port", str(port)]
    server = Server("noida-db", command, port)
    server.url = f"kafka://127.0.0.1:{port}"
    return server


def kafka_both_ways(server):
    """The instrumentation wraps classes, so clients are made after it."""
    import confluent_kafka
    from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor

    instrumentor = ConfluentKafkaInstrumentor()
    address = server.url.removeprefix("kafka://")
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": address})
    for future in admin.create_topics([NewTopic(name, 3, 1) for name in KAFKA_TOPICS]).values():
        future.result(30)
    producer = instrumentor.instrument_producer(confluent_kafka.Producer({"bootstrap.servers": address}), provider)
    with Party("--broker", server.url, "--destination", "theirs", "receive", "--count", "1") as party:
        token = with_tier()
        with TRACER.start_as_current_span("checkout") as root:
            headers = [("x-idempotency-key", b"m-1"), ("X-Request-Timeout-Ms", b"60000"), ("empty", None), ("bytes", b"\xff")]
            producer.produce("theirs", b"tea", headers=headers)
        context.detach(token)
        producer.flush(30)
        line = check_theirs_to_ours(party, root, "m-1")
        party.ends()
    with Party("--broker", server.url, "--destination", "ours", "send", "--deadline", "30000") as party:
        sent = next(line for line in party.ends() if "sent" in line)
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": address, "group.id": "judge", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["ours"])
    message = wait("our order", lambda: (lambda m: m if m and not m.error() else None)(consumer.poll(1.0)))
    consumer.close()
    headers = {name: value.decode() for name, value in message.headers()}
    ids = trace.get_current_span(propagate.extract(headers)).get_span_context()
    check_ours_to_theirs(sent, ids)
    assert hex_span(ids) == sent["span"]
    assert 0 < int(headers["x-request-timeout-ms"]) <= 30_000, headers
    print("kafka: one trace both ways with confluent-kafka and OpenTelemetry's instrumentation over noida-db")


def kafka_python_both_ways(server):
    import kafka as client
    from opentelemetry.instrumentation.kafka import KafkaInstrumentor

    KafkaInstrumentor().instrument()
    address = server.url.removeprefix("kafka://")
    producer = client.KafkaProducer(bootstrap_servers=address)
    with Party("--broker", server.url, "--destination", "theirs-python", "receive", "--count", "1") as party:
        token = with_tier()
        with TRACER.start_as_current_span("checkout") as root:
            headers = [("x-idempotency-key", b"m-1"), ("X-Request-Timeout-Ms", b"60000")]
            producer.send("theirs-python", b"tea", headers=headers)
            producer.flush(30)
        context.detach(token)
        check_theirs_to_ours(party, root, "m-1")
        party.ends()
    producer.close()
    with Party("--broker", server.url, "--destination", "ours-python", "send") as party:
        sent = next(line for line in party.ends() if "sent" in line)
    consumer = client.KafkaConsumer(
        "ours-python", bootstrap_servers=address, auto_offset_reset="earliest", group_id="judge",
        consumer_timeout_ms=PATIENCE * 1000,
    )
    next(consumer)
    consumer.close()
    took = [s for s in SPANS.get_finished_spans() if s.parent and hex_span(s.parent) == sent["span"]]
    assert [format(s.get_span_context().trace_id, "032x") for s in took] == [sent["trace"]], (took, sent)
    print("kafka: one trace both ways with kafka-python and OpenTelemetry's instrumentation over noida-db")


def kafka_mock():
    """librdkafka's mock cluster, inside of confluent-kafka, over real TCP."""
    import confluent_kafka

    holder = confluent_kafka.Producer({"test.mock.num.brokers": "1", "bootstrap.servers": "unused"})
    brokers = wait("the mock cluster", lambda: list(holder.list_topics(timeout=10).brokers.values()))
    url = f"kafka://{brokers[0].host}:{brokers[0].port}"
    with Party("--broker", url, "--destination", "mocked", "send", "--count", "100") as party:
        party.ends()
    with Party("--broker", url, "--destination", "mocked", "receive", "--count", "100") as party:
        lines = party.ends()
        assert len([line for line in lines if new(line)]) == 100
        assert party.metric("meshwise_consumer_lag_messages") == 0
        assert party.metric("meshwise_consumer_age_seconds") == 0
    print("kafka: 100 orders over librdkafka's mock cluster; lag and age are 0 at the end")


KAFKA_TOPICS = (
    "theirs", "ours", "theirs-python", "ours-python", "theirs-kafkajs", "ours-kafkajs", "hangs", "once", "storm",
)

# Under load


def storm(server, orders, restarts):
    """Orders are sent and handled while the broker is killed and started again."""
    name, began = server.name, time.time()
    receive = ["--broker", server.url, "--destination", "storm", "receive", "--count", str(orders)]
    with Party(*receive) as consumer, Party(
        "--broker", server.url, "--destination", "storm", "send", "--count", str(orders), "--pause", "3000"
    ) as producer:
        for at in range(restarts):
            share = orders * (at + 1) // (restarts + 2)
            consumer.until("some orders", lambda lines: sum(map(new, lines)) >= share, 180)
            server.kill()
            time.sleep(0.5)
            server.start()
        producer.ends(240)
        lines = consumer.ends(240)
        keys = [line["key"] for line in lines if new(line)]
        assert sorted(keys) == sorted(f"order-{n}" for n in range(orders)), f"{len(keys)} of {orders}"
        assert consumer.metric("meshwise_consumer_age_seconds") == 0
        consumed = consumer.metric("messaging_client_consumed_messages_total")
        settled = consumer.metric("meshwise_messages_settled_total")
        assert consumed == settled, (consumed, settled)
        again = sum(1 for line in lines if line.get("what") == "done")
        print(
            f"{name}: {orders} orders in {time.time() - began:.0f} s through {restarts} kills of the broker: each took effect once, "
            f"{again} came again; {int(consumed)} consumed = {int(settled)} settled; age 0"
        )


# A consumer that is killed between work and acknowledgement


def postgres():
    folder = SCRATCH / "postgres"
    port = free_port()
    if not folder.exists():
        subprocess.run(["install", "-d", "-o", "postgres", str(folder)], check=True)
        as_postgres = ["runuser", "-u", "postgres", "--"]
        subprocess.run(
            [*as_postgres, str(POSTGRES / "initdb"), "-D", str(folder), "-A", "trust", "-U", "postgres"],
            check=True, stdout=subprocess.DEVNULL,
        )
    command = [
        "runuser", "-u", "postgres", "--", str(POSTGRES / "postgres"), "-D", str(folder), "-p", str(port),
        "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}",
    ]
    server = Server("postgres", command, port)
    server.url = f"postgres://postgres@127.0.0.1:{port}/postgres"

    def serves():
        import psycopg

        # It takes connections, and refuses them, while it recovers what the one before it left.
        psycopg.connect(server.url, connect_timeout=5).close()
        return True

    server.serves = serves
    return server


def mariadb():
    folder = SCRATCH / "mariadb"
    port = free_port()
    # A folder in its data is a database; without grants it needs no tables of its own.
    subprocess.run(["install", "-d", "-o", "nobody", str(folder), str(folder / "test")], check=True)
    command = [
        "mariadbd", "--no-defaults", "--user=nobody", f"--datadir={folder}", "--bind-address=127.0.0.1",
        f"--port={port}", f"--socket={folder}/socket", "--skip-grant-tables",
    ]
    server = Server("mariadb", command, port)
    server.url = f"mysql://root@127.0.0.1:{port}/test"
    return server


def databases():
    """What inbox and outbox promise, in each dialect."""
    with postgres() as database:
        exercise("PostgreSQL", database.url)
    with mariadb() as database:
        exercise("MySQL (MariaDB)", database.url)
    exercise("SQLite", f"sqlite://{SCRATCH}/inbox.sqlite")


def exercise(name, url):
    with Party("exercise", url) as party:
        assert any("exercised" in line for line in party.ends()), party.errors
    print(f"{name}: inbox and outbox keep what they promise, two transactions at once included")


def killed(broker, database, times):
    """kill -9 after the effect is committed and before the broker knows, so many times."""
    import psycopg

    with psycopg.connect(database.url, autocommit=True) as sql:
        sql.execute("DROP TABLE IF EXISTS effects")
        sql.execute("CREATE TABLE effects (id BIGSERIAL, message_key TEXT NOT NULL)")
        orders = times + 20
        destination = f"killed-{broker.name}"
        with Party("--broker", broker.url, "--destination", destination, "send", "--count", str(orders)) as party:
            party.ends()
        receive = ["--broker", broker.url, "--destination", destination, "receive", "--postgres", database.url]
        for _ in range(times):
            with Party(*receive, "--step", step=True) as party:
                # It says that the effect is there, waits, and never acknowledges it.
                party.until("an order that takes effect", lambda lines: fed(party, lines))
                party.kill()
        with Party(*receive) as party:
            wait("the rest", lambda: sql.execute("SELECT count(*) FROM effects").fetchone()[0] >= orders, 60)
            time.sleep(3)
            again = sum(1 for line in party.lines if line.get("what") == "done")
        counts = sql.execute("SELECT count(*), count(DISTINCT message_key) FROM effects").fetchone()
        assert counts == (orders, orders), counts
        print(
            f"{broker.name}: kill -9 between commit and acknowledgement {times} times over PostgreSQL: "
            f"{orders} orders, {counts[0]} effects, none twice; the last consumer was given {again} again"
        )


def fed(party, lines):
    """Lets what was done before pass, and finds the first that is new."""
    if any(map(new, lines)):
        return True
    done = sum(1 for line in lines if line.get("what") == "done")
    given = getattr(party, "given", 0)
    for _ in range(done - given):
        party.process.stdin.write("\n")
        party.process.stdin.flush()
    party.given = done
    return False


def redis_inbox(broker):
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with Server("redis", command, port):
        address = f"127.0.0.1:{port}"
        with Party("--broker", broker.url, "--destination", "once", "send", "--count", "50") as party:
            party.ends()
        receive = ["--broker", broker.url, "--destination", "once", "receive", "--redis", address, "--group"]
        with Party(*receive, "one", "--count", "50") as party:
            party.ends()
        # The same orders in another group: the inbox knows them.
        with Party(*receive, "two") as party:
            party.until("all again", lambda lines: sum(l.get("what") == "done" for l in lines) >= 50)
            assert not any(map(new, party.lines)), party.lines
    print(f"{broker.name}: 50 orders read by two groups took effect once with Redis")


class Shop:
    """The shop of examples, over this broker."""

    def __init__(self, url):
        self.log, self.numbers = SCRATCH / "shop.log", itertools.count(1000)
        self.process = subprocess.Popen(
            [str(SHOP), "--no-console", "--queue", url, "--log-file", str(self.log), "--rate", "5"],
            stdout=subprocess.PIPE, stderr=open(SCRATCH / "shop.err", "wb"), stdin=subprocess.DEVNULL, text=True,
        )
        said, self.orders = "", None
        for line in self.process.stdout:
            said += line
            if found := re.search(r"http://\S+/shop/orders", line):
                self.orders = found[0]
            if line.startswith("Serving on"):
                break
        assert self.orders, f"the shop did not open: {said}"
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def order(self):
        """Places an order, and returns its number. One that a guard stands in the way of is none."""
        return wait("an order that is placed", lambda: self._order(next(self.numbers)))

    def _order(self, count):
        body = json.dumps({"user": "ada", "item": "tea", "count": count}).encode()
        headers = {"content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.orders, body, headers), timeout=30) as answer:
            return count if answer.status == 201 else None

    def said(self, message, about):
        """Counts the lines that say this, by the order that they are about."""
        lines = [line for line in self.log.read_text().splitlines() if message in line]
        return collections.Counter(count for count in about for line in lines if f"{count} x tea for ada" in line)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.process.kill()
        self.process.wait()
        if failure:
            print("the shop said at last:", (SCRATCH / "shop.err").read_text()[-2000:], sep="\n")


def shop_outlives(server):
    """A broker is killed and started again between orders: the mailer goes on, and writes each mail once."""
    began = time.time()
    with Shop(server.url) as shop:
        placed = [shop.order() for _ in range(5)]
        wait("the first mails", lambda: len(shop.said("mailed before", placed)) == len(placed))
        server.kill()
        server.start()
        # What is placed while the broker is away is not told: the first that is mailed shows that it is there again.
        tried = []
        wait("a mail by the new broker", lambda: tried.append(shop.order()) or shop.said("mail written", tried))
        after = [shop.order() for _ in range(5)]
        # Each comes once more on purpose, is known, and is settled only then.
        wait("the mails after it", lambda: len(shop.said("mailed before", after)) == len(after))
        placed += after
        mails = shop.said("mail written", placed)
        assert mails == collections.Counter(placed), mails
        assert max(shop.said("mail written", tried).values()) == 1
    print(
        f"{server.name}: the shop's {len(placed)} orders around a kill of the broker in {time.time() - began:.0f} s: "
        "the mailer went on, each was mailed once"
    )


def main():
    global SCRATCH, PARTY, SHOP, NODE
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--party", type=pathlib.Path, required=True)
    arguments.add_argument("--shop", type=pathlib.Path, required=True)
    arguments.add_argument("--scratch", type=pathlib.Path, required=True)
    arguments.add_argument("--node", type=pathlib.Path, required=True)
    arguments.add_argument("--scale", choices=["tenth", "full"], default="tenth")
    arguments.add_argument("parts", nargs="+")
    args = arguments.parse_args()
    PARTY, SHOP, SCRATCH, NODE = args.party, args.shop, args.scratch, args.node
    os.chmod(SCRATCH, 0o755)
    orders, restarts, kills = (2000, 1, 20) if args.scale == "tenth" else (20000, 5, 200)
    if "nats" in args.parts:
        with nats() as server:
            nats_both_ways(server)
            nats_requests(server)
            hangs(server, 25)
            redis_inbox(server)
            storm(server, orders, restarts)
            if "postgres" in args.parts:
                with postgres() as database:
                    killed(server, database, kills)
    if "databases" in args.parts:
        databases()
    if "mqtt" in args.parts:
        with mqtt() as server:
            mqtt_both_ways(server)
    if "kafka" in args.parts:
        kafka_mock()
        with kafka() as server:
            kafka_both_ways(server)
            kafka_python_both_ways(server)
            node_both_ways("kafkajs", server.url.removeprefix("kafka://"), server.url, "kafka")
            hangs(server, 25)
            storm(server, orders, restarts)
    if "rabbitmq" in args.parts:
        with rabbitmq() as server:
            rabbitmq_both_ways(server)
            aio_pika_both_ways(server)
            node_both_ways("amqplib", server.url, server.url, "rabbitmq")
            # Those in hand are not among what waits in the queue.
            hangs(server, 15)
            rabbitmq_requests(server)
            shop_outlives(server)
            storm(server, orders, restarts)


if __name__ == "__main__":
    main()

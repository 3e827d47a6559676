"""The other end of the gRPC interop tests, upon grpcio.

`peer.py serve` serves the echo service and prints its port; `peer.py call HOST:PORT` calls one,
and checks every answer. Messages are written by hand: no protobuf compiler is needed.
"""

import sys
import threading
import urllib.request
from concurrent import futures

import grpc

SERVICE = "meshwise.test.v1.Echo"


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def text(field, value):
    data = value.encode()
    return varint(field << 3 | 2) + varint(len(data)) + data


def fields(data):
    """Yields (field, value) of a message that has varints and strings only."""

    def take():
        nonlocal data
        n = shift = 0
        while True:
            byte, data = data[0], data[1:]
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    while data:
        tag = take()
        value = take()
        if tag & 7 == 2:
            value, data = data[:value].decode(), data[value:]
        yield tag >> 3, value


def ask(word="", answers=0, code=0, delay_ms=0):
    out = text(1, word) if word else b""
    for field, value in ((2, answers), (3, code), (4, delay_ms)):
        if value:
            out += varint(field << 3) + varint(value)
    return out


def read_ask(data):
    known = dict(fields(data))
    return known.get(1, ""), known.get(2, 0), known.get(3, 0), known.get(4, 0)


def answer(word, metadata):
    return text(1, word) + b"".join(text(2, line) for line in metadata)


def read_answer(data):
    word, metadata = "", {}
    for field, value in fields(data):
        if field == 1:
            word = value
        else:
            name, _, rest = value.partition(": ")
            metadata[name] = rest
    return word, metadata


CODES = {code.value[0]: code for code in grpc.StatusCode}


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        methods = {
            f"/{SERVICE}/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            f"/{SERVICE}/ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream),
            f"/{SERVICE}/ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream),
            f"/{SERVICE}/Both": grpc.stream_stream_rpc_method_handler(self.both),
        }
        return methods.get(details.method)

    @staticmethod
    def end(context, code, delay_ms):
        if delay_ms:
            # Ends early when the call does.
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait(delay_ms / 1000)
        if code:
            context.abort(CODES[code], "as asked")

    @staticmethod
    def metadata(context):
        lines = [f"{key}: {value}" for key, value in context.invocation_metadata()]
        left = context.time_remaining()
        # Without a deadline grpcio says some hundred years.
        if left is not None and left < 1e6:
            lines.append(f"time-remaining-ms: {int(left * 1000)}")
        return lines

    def unary(self, request, context):
        word, _, code, delay_ms = read_ask(request)
        self.end(context, code, delay_ms)
        return answer(word, self.metadata(context))

    def server_stream(self, request, context):
        word, answers, code, delay_ms = read_ask(request)
        for _ in range(answers):
            yield answer(word, self.metadata(context))
        self.end(context, code, delay_ms)

    def client_stream(self, requests, context):
        return answer("".join(read_ask(request)[0] for request in requests), self.metadata(context))

    def both(self, requests, context):
        for request in requests:
            yield answer(read_ask(request)[0], self.metadata(context))


def serve():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), handlers=(Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def code_of(call):
    try:
        call()
        return grpc.StatusCode.OK
    except grpc.RpcError as error:
        return error.code()


def call(address):
    channel = grpc.insecure_channel(address)
    unary = channel.unary_unary(f"/{SERVICE}/Unary")
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    metadata = (("traceparent", f"00-{trace}-{span}-01"), ("thumb-bin", b"\x00\xff\x10"))

    word, seen = read_answer(unary(ask("hello"), timeout=20, metadata=metadata))
    assert word == "hello", word
    assert seen["traceparent"] == f"00-{trace}-{span}-01", seen
    assert seen["thumb-bin"] == 'b"\\0\\xff\\x10"', seen
    assert "grpc-timeout" in seen, seen

    for number, code in CODES.items():
        said = code_of(lambda: unary(ask("x", code=number)))
        assert said == code, f"asked for {code}, got {said}"

    stream = channel.unary_stream(f"/{SERVICE}/ServerStream")
    assert len(list(stream(ask("x", answers=5)))) == 5
    count = 0
    try:
        for _ in stream(ask("x", answers=3, code=15)):
            count += 1
        raise AssertionError("the stream ended well")
    except grpc.RpcError as error:
        assert (count, error.code()) == (3, grpc.StatusCode.DATA_LOSS), (count, error)

    asks = lambda: iter([ask("a"), ask("b"), ask("c")])
    word, _ = read_answer(channel.stream_unary(f"/{SERVICE}/ClientStream")(asks()))
    assert word == "abc", word
    answers = channel.stream_stream(f"/{SERVICE}/Both")(asks())
    assert [read_answer(a)[0] for a in answers] == ["a", "b", "c"]

    # Gives up in the middle: the server must see a client that has gone.
    endless = stream(ask("x", answers=1_000_000))
    next(endless)
    endless.cancel()

    said = code_of(lambda: unary(ask("x", delay_ms=60_000), timeout=0.2))
    assert said == grpc.StatusCode.DEADLINE_EXCEEDED, said
    said = code_of(lambda: unary(ask("x" * (5 << 20))))
    assert said == grpc.StatusCode.OUT_OF_RANGE, said
    said = code_of(lambda: channel.unary_unary(f"/{SERVICE}/Nope")(ask("x")))
    assert said == grpc.StatusCode.UNIMPLEMENTED, said
    health = channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
    assert dict(fields(health)) == {1: 1}, "serving"

    def get(path):
        with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
            return answer.read().decode()

    spans = [line.split(" ") for line in get("/spans").splitlines()]
    ours = [s for s in spans if s[0] == trace]
    assert [s[1:3] for s in ours] == [[span, f"{SERVICE}/Unary"]], ours
    metrics = [m for m in get("/metrics").splitlines() if m.startswith("rpc_server_call_duration_seconds_count")]
    for code in grpc.StatusCode:
        label = f'rpc_status_code="{code.name}"'
        assert any(label in line for line in metrics), f"{code.name} is not counted"
    assert not any("Nope" in line for line in metrics), metrics
    print("python client: all answers as they should be")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["call", address]:
            call(address)
        case _:
            sys.exit(__doc__)

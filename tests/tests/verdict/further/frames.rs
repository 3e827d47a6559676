//! A peer that speaks HTTP/2 frame by frame, and what gRPC calls to it tell.

use super::*;
use meshwise_tests::echo::Answer;

/// A frame that a peer sends, on the stream of the request that it answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    /// A head, or trailers: these fields; and whether the stream ends with them.
    Fields(&'static [(&'static str, &'static str)], bool),
    Data(&'static [u8], bool),
    Reset(u32),
    /// The last stream that it has seen (with `true` the request's own is), and why.
    GoAway(bool, u32),
}
use Said::{Data, Fields, GoAway, Reset};

const HEAD: Said = Fields(&[(":status", "200"), ("content-type", "application/grpc")], false);
const MESSAGE: Said = Data(&[0, 0, 0, 0, 3, 0x0a, 1, b'x'], false);
const WELL: Said = Fields(&[("grpc-status", "0")], true);
const ANSWER: &[Said] = &[HEAD, MESSAGE, WELL];
pub(super) const CANCELLED: &[Said] = &[HEAD, MESSAGE, Fields(&[("grpc-status", "1")], true)];

fn frame(kind: u8, ends: bool, stream: u32, payload: &[u8]) -> Vec<u8> {
    // Fields are in one frame: END_HEADERS.
    let flags = u8::from(ends) | if kind == 1 { 4 } else { 0 };
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

impl Said {
    fn bytes(self, stream: u32) -> Vec<u8> {
        match self {
            Fields(fields, ends) => {
                // Literals that are not indexed (RFC 7541, section 6.2.2).
                let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
                let field =
                    |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
                frame(1, ends, stream, &fields.iter().flat_map(field).collect::<Vec<_>>())
            }
            Data(data, ends) => frame(0, ends, stream, data),
            Reset(code) => frame(3, false, stream, &code.to_be_bytes()),
            GoAway(seen, code) => {
                let last = if seen { stream } else { 0 };
                frame(7, false, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat())
            }
        }
    }
}

/// What a peer does on a connection: says this once a request is there, and ends it so.
pub(super) type Frames = (&'static [Said], Then);

/// Takes a turn for each connection, as [`Raw::start`] does.
pub(super) async fn start(turns: &[Frames]) -> Raw {
    let turns = turns.to_vec();
    let at = move |at: usize| turns[at.min(turns.len() - 1)];
    Raw::taking(move |n, stream, seen| take(at(n), stream, seen)).await
}

async fn take((says, then): Frames, mut stream: TcpStream, seen: Arc<Seen>) {
    if stream.read_exact(&mut [0; 24]).await.is_err() {
        return;
    }
    drop(stream.write_all(&frame(4, false, 0, &[])).await);
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if stream.read_exact(&mut vec![0; length]).await.is_err() {
            return;
        }
        match kind {
            4 if flags & 1 == 0 => drop(stream.write_all(&frame(4, true, 0, &[])).await),
            0 | 1 if flags & 1 == 1 => {
                seen.requests.fetch_add(1, SeqCst);
                let bytes: Vec<_> = says.iter().flat_map(|said| said.bytes(id)).collect();
                drop(stream.write_all(&bytes).await);
                match then {
                    Fin => return close(stream).await,
                    Rst => return drop(stream.set_zero_linger()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// Returns the answer's text, or its code.
pub(super) async fn outcome(
    call: impl Future<Output = Result<tonic::Response<Answer>, tonic::Status>>,
) -> String {
    match timeout(PATIENCE, call).await.expect("in time") {
        Ok(answer) => answer.into_inner().text,
        Err(status) => format!("{:?}", status.code()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grpc_call_that_ends_at_any_moment_tells_one_story() {
    const REFUSED: u32 = 7;
    const CANCEL: u32 = 8;
    const UNAVAILABLE: &[Said] = &[Fields(
        &[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14")],
        true,
    )];
    let well: Frames = (ANSWER, Keep);
    for (case, turns, repeatable, expected) in [
        ("all is well", &[well][..], false, "x | - | 1/0 | 1/1"),
        ("REFUSED_STREAM", &[(&[Reset(REFUSED)], Fin), well], false, "x | reset - | 1/0 | 2/2"),
        ("GOAWAY, not seen", &[(&[GoAway(false, 0)], Fin), well], false, "x | reset - | 1/0 | 2/2"),
        (
            "GOAWAY, not seen, with an error",
            &[(&[GoAway(false, 2)], Fin), well],
            false,
            "x | reset - | 1/0 | 2/2",
        ),
        (
            "GOAWAY, seen, and gone",
            &[(&[GoAway(true, 0)], Fin), well],
            false,
            "Unavailable | reset | 1/1 | 1/1",
        ),
        (
            "GOAWAY, seen, and gone; repeatable",
            &[(&[GoAway(true, 0)], Fin), well],
            true,
            "x | reset - | 2/1 | 2/2",
        ),
        (
            "GOAWAY, and the answer",
            &[(&[GoAway(true, 0), HEAD, MESSAGE, WELL], Fin)],
            false,
            "x | - | 1/0 | 1/1",
        ),
        (
            "RST_STREAM CANCEL",
            &[(&[Reset(CANCEL)], Keep)],
            true,
            "Cancelled | CANCELLED | 1/1 | 1/1",
        ),
        (
            "RST_STREAM CANCEL after the head",
            &[(&[HEAD, Reset(CANCEL)], Keep)],
            true,
            "Cancelled | CANCELLED | 1/1 | 1/1",
        ),
        (
            "RST_STREAM CANCEL after the message",
            &[(&[HEAD, MESSAGE, Reset(CANCEL)], Keep)],
            true,
            "Cancelled | CANCELLED | 1/1 | 1/1",
        ),
        (
            "RST_STREAM NO_ERROR after the answer",
            &[(&[HEAD, MESSAGE, WELL, Reset(0)], Keep)],
            true,
            "x | - | 1/0 | 1/1",
        ),
        ("FIN after the head", &[(&[HEAD], Fin)], true, "Unavailable | reset | 1/1 | 1/1"),
        (
            "no trailers",
            &[(&[HEAD, Data(&[0, 0, 0, 0, 3, 0x0a, 1, b'x'], true)], Keep)],
            true,
            "Unknown | UNKNOWN | 1/1 | 1/1",
        ),
        (
            "trailers without a status",
            &[(&[HEAD, MESSAGE, Fields(&[("x-a", "b")], true)], Keep)],
            true,
            "Unknown | UNKNOWN | 1/1 | 1/1",
        ),
        (
            "a status that is none",
            &[(&[HEAD, MESSAGE, Fields(&[("grpc-status", "99")], true)], Keep)],
            true,
            "Unknown | UNKNOWN | 1/1 | 1/1",
        ),
        (
            "CANCELLED in the trailers",
            &[(&[HEAD, MESSAGE, Fields(&[("grpc-status", "1")], true)], Keep)],
            true,
            "Cancelled | CANCELLED | 1/1 | 1/1",
        ),
        (
            "UNAVAILABLE alone",
            &[(UNAVAILABLE, Keep), well],
            true,
            "Unavailable | UNAVAILABLE UNAVAILABLE UNAVAILABLE | 3/3 | 1/3",
        ),
        (
            "UNAVAILABLE alone, then gone",
            &[(UNAVAILABLE, Fin), well],
            true,
            "x | UNAVAILABLE - | 2/1 | 2/2",
        ),
        (
            "UNAVAILABLE after a head",
            &[(&[HEAD, Fields(&[("grpc-status", "14")], true)], Fin), well],
            true,
            "Unavailable | UNAVAILABLE | 1/1 | 1/1",
        ),
        (
            "pushback",
            &[
                (
                    &[Fields(
                        &[
                            (":status", "200"),
                            ("content-type", "application/grpc"),
                            ("grpc-status", "8"),
                            ("grpc-retry-pushback-ms", "1"),
                        ],
                        true,
                    )],
                    Fin,
                ),
                well,
            ],
            true,
            "x | RESOURCE_EXHAUSTED - | 2/0 | 2/2",
        ),
        (
            "a 503 of a gateway's",
            &[(&[Fields(&[(":status", "503"), ("content-type", "text/html")], true)], Fin), well],
            true,
            "x | UNAVAILABLE - | 2/1 | 2/2",
        ),
        (
            "a 200 of another kind",
            &[(
                &[
                    Fields(&[(":status", "200"), ("content-type", "text/html")], false),
                    Data(b"hello", true),
                ],
                Keep,
            )],
            true,
            "Internal | UNKNOWN | 1/1 | 1/1",
        ),
        (
            "a status in the head before that of the trailers",
            &[(
                &[
                    Fields(
                        &[
                            (":status", "200"),
                            ("content-type", "application/grpc"),
                            ("grpc-status", "0"),
                        ],
                        false,
                    ),
                    MESSAGE,
                    Fields(&[("grpc-status", "13")], true),
                ],
                Keep,
            )],
            true,
            "x | - | 1/0 | 1/1",
        ),
        (
            "trailers only, OK, without a message",
            &[(
                &[Fields(
                    &[
                        (":status", "200"),
                        ("content-type", "application/grpc"),
                        ("grpc-status", "0"),
                    ],
                    true,
                )],
                Keep,
            )],
            true,
            "Internal | - | 1/0 | 1/1",
        ),
        (
            "half a message",
            &[(&[HEAD, Data(&[0, 0, 0, 0, 3, 0x0a], false), WELL], Keep)],
            true,
            "Internal | - | 1/0 | 1/1",
        ),
        (
            "a status of 200 whose message is compressed in vain",
            &[(&[HEAD, Data(&[1, 0, 0, 0, 3, 0x0a, 1, b'x'], false), WELL], Keep)],
            true,
            "Internal | cancelled | 1/0 | 1/1",
        ),
    ] {
        let peer = start(turns).await;
        let mesh = TestMesh::new("orders");
        let client = mesh.grpc_client("stock").with_endpoint(&peer.url).build().expect("a client");
        let mut client = EchoClient::new(client);
        let mut request = tonic::Request::new(Ask::default());
        request.extensions_mut().insert(Idempotent(repeatable));
        let caller = outcome(client.unary(request)).await;
        let told = told(&mesh, &caller, attempts(expected)).await;
        assert_eq!(format!("{told} | {}", peer.seen()), expected, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_call_over_http_2_that_ends_at_any_moment_tells_one_story() {
    const HEAD: Said = Fields(&[(":status", "200")], false);
    const UNSEEN: [&str; 2] = ["200 | reset - | 1/0 | 2/2"; 2];
    const SEEN: [&str; 2] = ["200 | reset - | 2/1 | 2/2", "reset | reset | 1/1 | 1/1"];
    const BROKEN: [&str; 2] = ["200, broken | reset | 1/1 | 1/1"; 2];
    // What is told of a GET, and of a POST.
    for (case, says, expected) in [
        ("REFUSED_STREAM", &[Reset(7)][..], UNSEEN),
        ("GOAWAY, not seen", &[GoAway(false, 0)], UNSEEN),
        ("GOAWAY, not seen, with an error", &[GoAway(false, 11)], UNSEEN),
        ("GOAWAY, seen, and gone", &[GoAway(true, 0)], SEEN),
        ("RST_STREAM INTERNAL_ERROR", &[Reset(2)], SEEN),
        ("RST_STREAM CANCEL", &[Reset(8)], SEEN),
        ("nothing, and gone", &[], SEEN),
        ("RST_STREAM CANCEL after the head", &[HEAD, Reset(8)], BROKEN),
        ("gone in the body", &[HEAD, Data(b"x", false)], BROKEN),
    ] {
        for (method, expected) in ["GET", "POST"].into_iter().zip(expected) {
            let peer = start(&[(says, Fin), (&[HEAD, Data(b"x", true)], Keep)]).await;
            let mesh = TestMesh::new("orders");
            let h2 = reqwest::Client::builder().http2_prior_knowledge();
            let client = mesh.client("stock").with_base_url(&peer.url).with_transport(h2);
            let client = client.build().expect("a client");
            let request = Request::builder().method(method).uri("/").body("".into());
            let request = request.expect("a request");
            let caller = call(&client, None, request, Reader::ReadsAll).await;
            let told = told(&mesh, &caller, attempts(expected)).await;
            assert_eq!(format!("{told} | {}", peer.seen()), expected, "{case}, {method}");
        }
    }
}

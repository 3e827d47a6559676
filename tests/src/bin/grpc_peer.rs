//! One end of the gRPC interop tests; the other speaks another language (`cargo xtask interop grpc`).
//!
//! `grpc_peer serve` serves the echo service, `/metrics` and `/spans` on a free loopback port and
//! prints its address. `grpc_peer call ADDRESS` calls such a service and checks every answer.

use axum::{Router, routing::get};
use meshwise::{
    GrpcClient, Mesh,
    core::{Attempt, Deadline, Env, GrpcCode},
    log::LogOutput,
    opentelemetry::trace::SpanKind,
    trace::{MemorySpans, SpanExport},
};
use meshwise_tests::echo::{Answer, Ask, DESCRIPTORS, Echo, EchoClient, EchoServer};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, time::timeout};
use tonic::{Code, Request, Status};

type Error = Box<dyn std::error::Error>;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve().await,
        ["call", address] => call(address).await,
        _ => Err("usage: grpc_peer serve | grpc_peer call ADDRESS".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grpc_peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn mesh(name: &str) -> Result<(Mesh, MemorySpans), Error> {
    let spans = MemorySpans::new();
    let memory = spans.clone();
    let mesh = meshwise::builder(name, "0.0.0")
        .with_env(Env::empty())
        .logs(|logs| logs.with_output(LogOutput::stderr()))
        .traces(move |traces| traces.with_exporter(SpanExport::memory(&memory)))
        .build()?;
    Ok((mesh, spans))
}

async fn serve() -> Result<(), Error> {
    let (mesh, spans) = mesh("rust-server")?;
    let grpc = mesh.grpc_ops().with_reflection(DESCRIPTORS).build()?;
    let app = grpc.add_service(EchoServer::new(Echo)).into_axum_router().layer(mesh.server_layer());
    // One span a line: trace, parent, kind, name, code.
    let list = move || {
        let line = |span: meshwise::opentelemetry_sdk::trace::SpanData| {
            let code = span.attributes.iter().find(|kv| kv.key.as_str().ends_with("status_code"));
            let code = code.map(|kv| kv.value.to_string()).unwrap_or_default();
            let ids = (span.span_context.trace_id(), span.parent_span_id);
            format!("{} {} {} {code}\n", ids.0, ids.1, span.name)
        };
        let text: String = spans.spans().into_iter().map(line).collect();
        async move { text }
    };
    let app: Router = app.route("/spans", get(list)).merge(mesh.ops_router());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn ask(text: &str) -> Ask {
    Ask { text: text.to_owned(), ..Ask::default() }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Result<&'a str, Error> {
    let line = answer.metadata.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.ok_or_else(|| format!("the server saw no {name}: {answer:?}").into())
}

/// Returns an error that says `what` unless `holds`.
fn check(holds: bool, what: impl Into<String>) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(what.into().into()) }
}

fn code_of<T>(result: Result<T, Status>) -> Code {
    result.map_or_else(|status| status.code(), |_| Code::Ok)
}

async fn call(address: &str) -> Result<(), Error> {
    let (mesh, spans) = mesh("rust-client")?;
    let client = mesh.grpc_client("python").with_endpoint(format!("http://{address}"));
    let mut client = EchoClient::new(client.connect().await?);
    context(&mut client, &spans).await?;
    codes(&mut client, &mesh).await?;
    streams(&mut client).await?;
    limits(&mut client, &mesh, address).await?;
    println!("rust client: {} calls, all as they should be", spans.spans().len());
    Ok(())
}

/// Trace, deadline and attempt arrive.
async fn context(client: &mut EchoClient<GrpcClient>, spans: &MemorySpans) -> Result<(), Error> {
    let mut request = Request::new(ask("hello"));
    request.extensions_mut().insert(Deadline::after(Instant::now(), Duration::from_secs(20)));
    request.extensions_mut().insert(Attempt(3));
    let answer = client.unary(request).await?.into_inner();
    check(answer.text == "hello", format!("{answer:?}"))?;
    let span = spans.spans().pop().ok_or("the call made no span")?;
    check(span.span_kind == SpanKind::Client, "it is the client's")?;
    let ids = format!("{}-{}", span.span_context.trace_id(), span.span_context.span_id());
    let arrived = header(&answer, "traceparent")?;
    check(arrived.contains(&ids), format!("sent {ids}, arrived {arrived}"))?;
    let left: u64 = header(&answer, "time-remaining-ms")?.parse()?;
    check((1..=20_000).contains(&left), format!("{left} ms remain"))?;
    check(header(&answer, "grpc-previous-rpc-attempts")? == "3", "the attempt")
}

/// All status codes come back, and are counted under their names.
async fn codes(client: &mut EchoClient<GrpcClient>, mesh: &Mesh) -> Result<(), Error> {
    for &code in GrpcCode::ALL {
        let number = code as u32;
        let said = code_of(client.unary(Ask { code: number, ..ask("x") }).await);
        check(said as u32 == number, format!("asked for {code}, got {said:?}"))?;
        let label = format!("rpc_status_code=\"{code}\"");
        let counted = mesh.metrics().render_text();
        let counted = counted.lines().any(|line| {
            line.starts_with("rpc_client_call_duration_seconds_count") && line.contains(&label)
        });
        check(counted, format!("{code} is not counted"))?;
    }
    Ok(())
}

/// Streams flow in each direction, and break off in the middle.
async fn streams(client: &mut EchoClient<GrpcClient>) -> Result<(), Error> {
    let mut answers = client.server_stream(Ask { answers: 5, ..ask("x") }).await?.into_inner();
    let mut count = 0;
    while answers.message().await?.is_some() {
        count += 1;
    }
    check(count == 5, format!("{count} answers of 5"))?;

    let broken = Ask { answers: 3, code: 15, ..ask("x") };
    let mut answers = client.server_stream(broken).await?.into_inner();
    let mut count = 0;
    let end = loop {
        match answers.message().await {
            Ok(Some(_)) => count += 1,
            Ok(None) => break Code::Ok,
            Err(status) => break status.code(),
        }
    };
    check((count, end) == (3, Code::DataLoss), format!("{count} answers, then {end:?}"))?;

    let asks = || tokio_stream::iter(["a", "b", "c"].map(ask));
    let joined = client.client_stream(asks()).await?.into_inner().text;
    check(joined == "abc", joined.clone())?;
    let mut answers = client.both(asks()).await?.into_inner();
    let mut text = String::new();
    while let Some(answer) = answers.message().await? {
        text += &answer.text;
    }
    check(text == "abc", text.clone())
}

/// What must fail does, with the code that gRPC has for it.
async fn limits(
    client: &mut EchoClient<GrpcClient>,
    mesh: &Mesh,
    address: &str,
) -> Result<(), Error> {
    let mut request = Request::new(Ask { delay_ms: 60_000, ..ask("x") });
    request.extensions_mut().insert(Deadline::after(Instant::now(), Duration::from_millis(100)));
    let code = code_of(timeout(PATIENCE, client.unary(request)).await?);
    check(code == Code::DeadlineExceeded, format!("past the deadline: {code:?}"))?;

    let large = ask(&"x".repeat(5 << 20));
    let code = code_of(client.unary(large).await);
    check(code == Code::ResourceExhausted, format!("a message too large: {code:?}"))?;

    let path = "/meshwise.test.v1.Echo/Nope".parse()?;
    let service = mesh.grpc_client("python").with_endpoint(format!("http://{address}")).build()?;
    let mut raw = tonic::client::Grpc::new(service);
    raw.ready().await?;
    let codec = tonic_prost::ProstCodec::<Ask, Answer>::default();
    let code = code_of(raw.unary(Request::new(ask("x")), path, codec).await);
    check(code == Code::Unimplemented, format!("a method that is not there: {code:?}"))
}

//! What the guide shows is compiled, block by block (`build.rs` makes functions of them), and its
//! programs are run; the README's commands exist, with their flags.

use axum::{Router, routing::get};
use clap::CommandFactory;
use meshwise_testing::TestMesh;
use meshwise_tests::{PATIENCE, echo::Echo, eventually, raw};
use std::net::SocketAddr;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::StreamExt as _;
use tonic::{service::Routes, transport::server::TcpIncoming};

/// The guide's blocks.
#[allow(
    warnings,
    clippy::all,
    clippy::pedantic,
    reason = "what a reader leaves for later, such as using a variable"
)]
mod guide {
    use super::*;
    pub(crate) use axum::{Router, routing::get};
    pub(crate) use meshwise::{http::ServerMode, prelude::*};
    pub(crate) use meshwise_testing::TestMesh;
    pub(crate) use meshwise_tests::echo::{
        DESCRIPTORS, Echo, EchoClient as AuthClient, EchoServer as AuthServer,
    };
    pub(crate) use std::time::Duration;

    /// What the text around the blocks has introduced.
    pub(crate) struct Given {
        pub(crate) mesh: Mesh,
        pub(crate) listener: TcpListener,
        pub(crate) incoming: TcpIncoming,
        pub(crate) routes: Router,
        pub(crate) http_routes: Router,
        pub(crate) grpc: Routes,
        pub(crate) auth: Echo,
        pub(crate) pool: Pool,
    }

    #[derive(Clone)]
    pub(crate) struct Pool;

    impl Pool {
        pub(crate) async fn ping(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    pub(crate) async fn order() -> &'static str {
        "an order"
    }

    pub(crate) fn app(mesh: &Mesh) -> Router {
        mesh.wrap(Router::new().route("/orders/{id}", get(order))).expect("layers")
    }

    pub(crate) fn with_token(
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        request.metadata_mut().insert("authorization", "bearer x".parse().expect("a value"));
        Ok(request)
    }

    include!(concat!(env!("OUT_DIR"), "/guide.rs"));
}

use guide::Given;

async fn given(mesh: &TestMesh) -> (SocketAddr, Given) {
    let bind = async || TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let listener = bind().await;
    let address = listener.local_addr().expect("an address");
    let routes = || Router::new().route("/hello", get(|| async { "hello" }));
    let given = Given {
        mesh: meshwise::Mesh::clone(mesh),
        listener,
        incoming: TcpIncoming::from(bind().await),
        routes: routes(),
        http_routes: routes(),
        grpc: Routes::new(meshwise_tests::echo::EchoServer::new(Echo)),
        auth: Echo,
        pool: guide::Pool,
    };
    (address, given)
}

/// Ends a program of the guide with the test.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type Done = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn run(block: impl Future<Output = Done> + Send + 'static) -> Running {
    Running(tokio::spawn(async move { block.await.expect("the guide's program") }))
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    tokio::time::timeout(PATIENCE, raw(address, request.as_bytes())).await.expect("in time")
}

#[tokio::test]
async fn the_guide_s_edge_is_observed_and_keeps_its_ops_routes_to_itself() {
    let mesh = TestMesh::new("orders");
    let (address, given) = given(&mesh).await;
    let _running = run(guide::strangers_1(given));
    assert!(ask(address, "/hello").await.starts_with("HTTP/1.1 200 "));
    assert!(ask(address, "/metrics").await.starts_with("HTTP/1.1 404 "));
    eventually("both calls end", || mesh.spans().data().len() == 2).await;
    mesh.spans().named("GET").one().assert_attribute("http.response.status_code", 404);
}

#[tokio::test]
async fn the_guide_s_grpc_program_keeps_both_protocols_apart() {
    use guide::{AuthClient, with_token};
    use meshwise_tests::echo::Ask;
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    let mesh = TestMesh::new("auth");
    let (address, given) = given(&mesh).await;
    let _running = run(guide::grpc_1(given));

    // A mistyped path.
    assert!(ask(address, "/hello").await.ends_with("hello"));
    let answer = ask(address, "/helo").await;
    assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("grpc"), "{answer}");
    mesh.metric("http_server_request_duration_seconds_count")
        .label("http_response_status_code", "404")
        .assert_value(1.0);
    mesh.spans().named("GET /hello").one();

    // An interceptor around the client, as the block after it has it.
    let caller = TestMesh::new("orders");
    let endpoint = format!("http://{address}");
    let client = caller.grpc_client("auth").with_endpoint(&endpoint).build().expect("a client");
    let mut client = AuthClient::with_interceptor(client, with_token);
    let asked = Ask { text: "x".to_owned(), ..Ask::default() };
    let answer = client.unary(asked).await.expect("an answer").into_inner();
    let token = "authorization: bearer x".to_owned();
    assert!(answer.metadata.contains(&token), "{answer:?}");
    eventually("both ends record it", || {
        mesh.metric("rpc_server_call_duration_seconds_count").label("rpc_status_code", "OK").value()
            == Some(1.0)
    })
    .await;

    // A method that is not there, and a service that is not known.
    let channel = tonic::transport::Endpoint::from_shared(endpoint).expect("an endpoint");
    let channel = channel.connect().await.expect("connected");
    let mut health = HealthClient::new(channel.clone());
    let named = |service: &str| HealthCheckRequest { service: service.to_owned() };
    health.check(named("auth.v1.Auth")).await.expect("it is named");
    let unknown = health.check(named("nope.Nope")).await.expect_err("not known");
    assert_eq!(unknown.code(), tonic::Code::NotFound);
    let watch = health.watch(named("nope.Nope")).await.expect("a watch");
    let told = tokio::time::timeout(PATIENCE, watch.into_inner().next()).await.expect("in time");
    let told = told.expect("told").expect("a status").status();
    assert_eq!(told, tonic_health::pb::health_check_response::ServingStatus::ServiceUnknown);
    let mut reflection =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(channel);
    let nothing = tokio_stream::iter([]);
    let missing = reflection.server_reflection_info(nothing).await.expect_err("not enabled");
    assert_eq!(missing.code(), tonic::Code::Unimplemented);
}

/// The same program with what its last paragraph adds.
#[tokio::test]
async fn the_guide_s_grpc_program_lists_its_services_with_reflection() {
    use tonic_reflection::pb::v1;
    let mesh = TestMesh::new("auth");
    let (address, given) = given(&mesh).await;
    let _running = run(guide::with_reflection(given));
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
    let channel = channel.expect("an endpoint").connect().await.expect("connected");
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await;
    let mut answers = answers.expect("answers").into_inner();
    let listed = tokio::time::timeout(PATIENCE, answers.next()).await.expect("in time");
    let listed = format!("{:?}", listed.expect("one").expect("a list"));
    for service in ["meshwise.test.v1.Echo", "grpc.health.v1.Health"] {
        assert!(listed.contains(service), "{service}: {listed}");
    }
    // The other protocol is still beside it.
    assert!(ask(address, "/hello").await.ends_with("hello"));
}

/// Every Rust block of the guide is a function, or it would not be compiled here.
#[test]
fn no_block_is_left_out() {
    let guide = include_str!("../../docs/guide.md");
    let code = include_str!(concat!(env!("OUT_DIR"), "/guide.rs"));
    let blocks = guide.lines().filter(|line| line.starts_with("```rust")).count();
    assert!(blocks > 10, "{blocks}");
    // One block is there twice: with reflection, too.
    assert_eq!(code.matches("pub(crate) ").count(), blocks + 1);
}

/// Returns the code of a document: lines of its console blocks, and what stands in backticks.
fn code(document: &str) -> Vec<String> {
    let lines = document.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned);
    let mut text = String::new();
    for (nth, part) in document.split("```").enumerate() {
        if nth % 2 == 0 {
            text += part;
        }
    }
    let inline = text.split('`').skip(1).step_by(2).map(|code| code.replace('\n', " "));
    lines.chain(inline).collect()
}

/// The shop's command line.
#[path = "../../examples/shop/src/args.rs"]
#[allow(dead_code, unreachable_pub, reason = "only its help is read")]
mod shop;

/// Returns what a command says of itself.
fn help(mut command: clap::Command, words: &[&str]) -> String {
    // What is said of a subcommand has the options that all of them take.
    command.build();
    let mut command = &mut command;
    for (at, word) in words.iter().enumerate() {
        if at > 0 && command.find_subcommand(word).is_none() {
            break;
        }
        command = command.find_subcommand_mut(word).unwrap_or_else(|| panic!("no `{word}`"));
    }
    command.render_long_help().to_string()
}

/// Commands whose parser is not at hand here, and the reason they are shown.
const NOT_OURS: [(&str, &str); 4] = [
    ("cargo test --workspace", "it runs these lines"),
    ("cargo install ", "it brings the command `cargo meshwise`"),
    ("cargo xtask ", "its parser is in the package xtask"),
    ("cargo tree ", "it counts the packages of the README's table, as `cargo xtask diet` does"),
];

#[test]
fn commands_of_readme_and_guide_exist_with_their_flags() {
    let code: Vec<String> = [include_str!("../../README.md"), include_str!("../../docs/guide.md")]
        .iter()
        .flat_map(|document| code(document))
        .collect();
    let mut helps = vec![help(shop::Args::command(), &[])];
    let mut seen = 0;
    for command in code.iter().filter(|code| code.starts_with("cargo ")) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (help, arguments) = match &words[..] {
            ["cargo", "run", "-p", "shop"] => (helps[0].clone(), &[][..]),
            ["cargo", "run", "-p", "shop", "--", arguments @ ..] => (helps[0].clone(), arguments),
            ["cargo", "meshwise", subs @ ..] => (help(cargo_meshwise::command(), subs), subs),
            _ if NOT_OURS.iter().any(|(ours, _)| command.starts_with(ours)) => continue,
            _ => panic!("`{command}` is not checked"),
        };
        for flag in arguments.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "`{command}`: no {flag} in\n{help}");
        }
        helps.push(help);
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} commands were found");
    for (command, reason) in NOT_OURS {
        let shown = code.iter().any(|code| code.starts_with(command));
        assert!(shown, "`{command}` is shown no more; {reason}");
    }
    for flag in code.iter().filter(|code| code.starts_with("--")) {
        let name = flag.split_whitespace().next().expect("a flag");
        assert!(helps.iter().any(|help| help.contains(name)), "no command has {flag}");
    }
}

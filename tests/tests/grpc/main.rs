//! gRPC through the same layers, over real sockets.

mod context;
mod ends;
mod ops;
mod serve;
mod tls;
mod transport;

use axum::Router;
use meshwise::GrpcClient;
use meshwise_testing::TestMesh;
use meshwise_tests::{
    Served,
    echo::{Ask, Echo, EchoClient, EchoServer},
    serve,
};
use std::net::SocketAddr;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{service::Routes, transport::Server};

/// A tonic server on a free loopback port, stopped when dropped.
struct TonicServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TonicServer {
    async fn start(mesh: &TestMesh, routes: Routes) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let server = Server::builder().layer(mesh.server_layer()).add_routes(routes);
        let task = tokio::spawn(async move {
            server.serve_with_incoming(incoming).await.expect("serving");
        });
        Self { address, task }
    }

    async fn echo(mesh: &TestMesh) -> Self {
        Self::start(mesh, Routes::new(EchoServer::new(Echo))).await
    }
}

impl Drop for TonicServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client of the peer `echo`, without guards: what is tested here is each attempt.
fn client(mesh: &TestMesh, address: SocketAddr) -> EchoClient<GrpcClient> {
    let endpoint = format!("http://{address}");
    let client = mesh.grpc_client("echo").without_guards().with_endpoint(endpoint);
    EchoClient::new(client.build().expect("a client"))
}

/// Asks for a text and no more.
fn ask(text: &str) -> Ask {
    Ask { text: text.to_owned(), ..Ask::default() }
}

/// Serves the echo service inside an axum router, with HTTP routes beside it.
async fn serve_beside_http(mesh: &TestMesh) -> Served {
    let grpc = Routes::new(EchoServer::new(Echo)).into_axum_router();
    let http = Router::new().route("/hello", axum::routing::get(|| async { "hello" }));
    serve(http.merge(grpc).layer(mesh.server_layer())).await
}

//! meshwise beside what users would pick instead: one table, from one run.
//!
//! `cargo bench -p benches` measures all, `cargo bench -p benches -- server log` what has one of
//! these words in its name; `-- --test` only sees that it works, and checks the budgets.

mod client;
mod exporting;
mod grpc;
mod handler;
mod log;
mod messages;
mod metrics;
mod propagation;
mod redaction;
mod resilience;
mod resources;
mod scale;
mod server;
mod sockets;
mod span;
mod stacks;

use benches::Bench;
use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    stacks::set_globals();
    if sockets::serve_if_asked() || exporting::export_if_asked() {
        return ExitCode::SUCCESS;
    }
    let mut bench = Bench::from_args();
    server::run(&mut bench);
    client::run(&mut bench);
    grpc::run(&mut bench);
    handler::run(&mut bench);
    log::run(&mut bench);
    messages::run(&mut bench);
    metrics::run(&mut bench);
    propagation::run(&mut bench);
    redaction::run(&mut bench);
    span::run(&mut bench);
    exporting::run(&mut bench);
    resilience::run(&mut bench);
    scale::run(&mut bench);
    sockets::run(&mut bench);
    resources::run(&mut bench);
    bench.finish()
}

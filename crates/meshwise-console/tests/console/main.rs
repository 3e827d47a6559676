//! The console over real sockets.

mod hostile;
mod ingest;
mod page;
mod session;
mod support;
mod watch;

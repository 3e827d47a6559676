//! Auth: knows who is a customer, and what customers may do. It speaks gRPC.

use meshwise::{Mesh, grpc::ReflectionError};
use std::pin::Pin;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, service::Routes};

use proto::{
    CheckReply, Permission,
    auth_server::{Auth, AuthServer},
};
pub(crate) use proto::{CheckRequest, auth_client::AuthClient};

/// What `cargo xtask proto` makes of `proto/auth.proto`.
#[allow(
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::clone_on_ref_ptr
)]
mod proto {
    include!("../proto/auth.v1.rs");
}

const DESCRIPTORS: &[u8] = include_bytes!("../proto/auth.bin");
const CUSTOMERS: [&str; 2] = ["ada", "grace"];

/// Makes the gRPC routes, health and reflection among them.
pub(crate) fn routes(mesh: &Mesh) -> Result<Routes, ReflectionError> {
    let ops = mesh.grpc_ops().with_services(["auth.v1.Auth"]).with_reflection(DESCRIPTORS);
    Ok(ops.build()?.add_service(AuthServer::new(Register)))
}

struct Register;

fn is_customer(user: &str) -> bool {
    CUSTOMERS.contains(&user)
}

#[tonic::async_trait]
impl Auth for Register {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckReply>, Status> {
        let user = request.into_inner().user;
        let allowed = is_customer(&user);
        tracing::info!(user, known = allowed, "looked up");
        Ok(Response::new(CheckReply { allowed }))
    }

    type PermissionsStream = Pin<Box<dyn Stream<Item = Result<Permission, Status>> + Send>>;

    async fn permissions(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<Self::PermissionsStream>, Status> {
        if !is_customer(&request.into_inner().user) {
            return Err(Status::permission_denied("not a customer"));
        }
        let permissions = ["look", "buy"].map(|name| Ok(Permission { name: name.to_owned() }));
        Ok(Response::new(Box::pin(tokio_stream::iter(permissions))))
    }
}

//! Messages of the mesh.

use crate::mesh::Mesh;
use meshwise_messaging::Messaging;

impl Mesh {
    /// Makes producers and consumers of messages, whose spans, metrics and log lines are this mesh's.
    ///
    /// The features of `meshwise-messaging` say which clients' headers are known.
    ///
    /// ```
    /// # fn f(mesh: &meshwise::Mesh, mut headers: Vec<(String, String)>) {
    /// use meshwise::messaging::System;
    /// let producer = mesh.messaging().producer(System::NATS, "order.placed");
    /// let sending = producer.send();
    /// sending.inject(&mut headers);
    /// // ... the client sends it ...
    /// sending.confirmed();
    /// # }
    /// ```
    #[must_use]
    pub fn messaging(&self) -> &Messaging {
        &self.0.messaging
    }
}

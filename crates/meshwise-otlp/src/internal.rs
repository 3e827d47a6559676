//! What the crates of the workspace share and users never name. No promise of stability: it may
//! change with every version.

#[cfg(feature = "_otlp")]
pub use crate::exporter::{Encode, EncodedBatch, Exporter, WireMessage};
#[cfg(feature = "_otlp")]
pub use crate::identity::{write_late_attribute, write_resource, write_scope};
pub use crate::{
    answer::{Answer, moment_after, worker_deadline},
    batch::{Batcher, Items, Sizes},
    config::{Origin, join},
    export_thread::{enter as enter_export, is_current as is_exporting},
    losses::LossLog,
    names::SCHEMA_URL,
    periodic::{Collect, Periodic, Rounds},
    shutdown_signal::ShutdownSignal,
    sink::{Destination, Exported, Sink, Terms},
    wait::{Exporting, elsewhere, flush, shutdown},
};

//! What the crates of the workspace record calls with, and users never name. No promise of
//! stability: it may change with every version.

pub use crate::{
    call::{
        BodySizes, CallCost, CostMeter, Edge, EdgeCall, EdgeKind, HttpClientMetrics,
        HttpClientSeries, HttpClientTarget, HttpServerMetrics, HttpServerSeries, MessagingChannel,
        MessagingMetrics, MessagingSeries, OperationEnd, RouteCosts, RpcLabels, RpcMetrics,
        ServiceMap,
    },
    guard::LabelGuard,
    table::Table,
};

//! Exporters made elsewhere.

use super::sink::{SpanSink, Terms};
use crate::spare::{self, SpanBox};
use futures_util::{FutureExt, future::BoxFuture};
use meshwise_core::DropReason;
use meshwise_otlp::internal::Exported;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};
use std::{fmt, panic::AssertUnwindSafe, time::Duration};

/// Runs an exporter of the SDK's kind.
#[derive(Debug)]
pub(crate) struct Custom(Box<dyn DynExporter>);

/// [`SpanExporter`], whose `export` is no object-safe method, as a trait object.
trait DynExporter: Send + fmt::Debug {
    fn export(&self, batch: Vec<SpanData>) -> BoxFuture<'_, OTelSdkResult>;
    fn set_resource(&mut self, resource: &Resource);
    fn close(&self, left: Duration) -> OTelSdkResult;
}

impl<E: SpanExporter> DynExporter for E {
    fn export(&self, batch: Vec<SpanData>) -> BoxFuture<'_, OTelSdkResult> {
        Box::pin(SpanExporter::export(self, batch))
    }

    fn set_resource(&mut self, resource: &Resource) {
        SpanExporter::set_resource(self, resource);
    }

    fn close(&self, left: Duration) -> OTelSdkResult {
        self.shutdown_with_timeout(left)
    }
}

impl Custom {
    pub(super) fn new(exporter: impl SpanExporter + 'static) -> Self {
        Self(Box::new(exporter))
    }
}

impl SpanSink for Custom {
    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }

    fn export<'a>(&'a mut self, mut batch: Vec<SpanBox>, _: Terms<'a>) -> BoxFuture<'a, Exported> {
        let spans = batch.iter_mut().map(|span| spare::move_out(span)).collect();
        spare::put_back(batch);
        let export = AssertUnwindSafe(async move { self.0.export(spans).await }).catch_unwind();
        Box::pin(export.map(|result| match result {
            Ok(Ok(())) => Exported::Delivered,
            Ok(Err(error @ OTelSdkError::Timeout(_))) => {
                Exported::Failed { reason: DropReason::ExportTimeout, error: error.to_string() }
            }
            Ok(Err(error)) => Exported::failed(error.to_string()),
            // It may be in any state, but it is not ours: it gets the next batch all the same.
            Err(_) => Exported::failed("the exporter panicked"),
        }))
    }

    fn close(&mut self, left: Duration) {
        // An error has no caller left: all spans are counted.
        let _ = self.0.close(left);
    }
}

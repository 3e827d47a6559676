//! An object store in memory that fails as real ones do.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    memory::InMemory, path::Path,
};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, and nothing was done.
    Before,
    /// It is done, and the answer is lost.
    After,
}

/// Which call is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    List,
    Read,
    Create,
}

type Plan = dyn Fn(Call, u64) -> Option<Fault> + Send + Sync;

/// Fails by plan: a function of the call and of how many calls there were before.
pub(crate) struct Faulty {
    inner: Arc<InMemory>,
    calls: AtomicU64,
    plan: Box<Plan>,
}

impl Faulty {
    pub(crate) fn new(
        inner: &Arc<InMemory>,
        plan: impl Fn(Call, u64) -> Option<Fault> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { inner: Arc::clone(inner), calls: AtomicU64::new(0), plan: Box::new(plan) })
    }

    fn fault(&self, call: Call) -> Option<Fault> {
        (self.plan)(call, self.calls.fetch_add(1, Ordering::Relaxed))
    }
}

fn lost<T>() -> Result<T> {
    Err(Error::Generic { store: "faulty", source: "connection reset".into() })
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        // The protocol promises this: what is there is never written over.
        assert!(
            matches!(options.mode, PutMode::Create)
                || ["index.json", "journals.json"].contains(&location.as_ref()),
            "{location} is written with another mode than create"
        );
        let fault = self.fault(Call::Create);
        if fault == Some(Fault::Before) {
            return lost();
        }
        let result = self.inner.put_opts(location, payload, options).await;
        if fault == Some(Fault::After) {
            return lost();
        }
        result
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.fault(Call::Read).is_some() {
            return lost();
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        panic!("nothing is ever deleted");
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.fault(Call::List).is_some() {
            return stream::iter([lost()]).boxed();
        }
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

//! Documents in a folder, in memory or in a bucket, through `object_store`.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::{
    GetOptions, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, local::LocalFileSystem,
    memory::InMemory, path::Path,
};

use super::{
    Created,
    error::StoreError,
    folder, index,
    key::Key,
    listing::{Listing, MAX_BYTES, MAX_STRAYS, Sequence},
    location::Location,
};

#[derive(Debug)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The folder in a bucket.
    prefix: Path,
    location: Location,
}

impl Objects {
    pub(super) fn open(location: &Location) -> Result<Self, StoreError> {
        let (store, prefix): (Arc<dyn ObjectStore>, Path) = match location {
            Location::Folder(folder) => {
                if !folder.is_dir() {
                    return Err(StoreError::Location(format!(
                        "{} is no folder; make it first if the dictionary begins here",
                        folder.display()
                    )));
                }
                let store = LocalFileSystem::new_with_prefix(folder)
                    .map_err(|error| StoreError::unavailable(location.to_string(), error))?
                    // A publish that was reported must survive a power cut.
                    .with_fsync(true);
                (Arc::new(store), Path::default())
            }
            Location::Bucket(url) => open_bucket(url)?,
            Location::Memory | Location::Web(_) => (Arc::new(InMemory::new()), Path::default()),
        };
        Ok(Self { store, prefix, location: location.clone() })
    }

    #[cfg(test)]
    pub(super) fn from_store(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, prefix: Path::default(), location: Location::Memory }
    }

    fn path(&self, relative: &str) -> Path {
        self.prefix.parts().chain(Path::from(relative).parts()).collect()
    }

    /// Lists all services, or only one.
    pub(super) async fn list(&self, service: Option<&str>) -> Result<Listing, StoreError> {
        let folder = match service {
            Some(service) => format!("services/{service}"),
            None => "services".to_owned(),
        };
        let mut seqs: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut strays = Vec::new();
        let mut objects = self.store.list(Some(&self.path(&folder)));
        while let Some(object) = objects.next().await {
            let path = match object {
                Ok(meta) => meta.location,
                // A folder that no one published to yet.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(object_store::Error::InvalidPath { source }) => {
                    strays.push(source.to_string());
                    continue;
                }
                Err(error) => return Err(self.error(&folder, error)),
            };
            let relative = path
                .as_ref()
                .strip_prefix(self.prefix.as_ref())
                .unwrap_or(path.as_ref())
                .trim_start_matches('/');
            match Key::parse(relative) {
                Some(key) => seqs.entry(key.service().to_owned()).or_default().push(key.seq()),
                // .gitkeep and its like.
                None if path.filename().is_none_or(|name| name.starts_with('.')) => {}
                None if strays.len() < MAX_STRAYS => strays.push(self.location.join(relative)),
                None => {}
            }
        }
        let services =
            seqs.into_iter().map(|(service, seqs)| (service, Sequence::of(seqs))).collect();
        strays.sort();
        Ok(Listing { services, strays })
    }

    /// Lists the paths of all objects under a folder, from the dictionary's own.
    pub(super) async fn list_paths(&self, under: &str) -> Result<Vec<String>, StoreError> {
        let mut paths = Vec::new();
        let mut objects = self.store.list(Some(&self.path(under)));
        while let Some(object) = objects.next().await {
            match object {
                Ok(meta) => {
                    let path = meta.location.as_ref();
                    let own = path.strip_prefix(self.prefix.as_ref()).unwrap_or(path);
                    paths.push(own.trim_start_matches('/').to_owned());
                }
                // A folder that no one wrote to yet; a name that is no object's.
                Err(
                    object_store::Error::NotFound { .. } | object_store::Error::InvalidPath { .. },
                ) => {}
                Err(error) => return Err(self.error(under, error)),
            }
        }
        Ok(paths)
    }

    pub(super) async fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        self.read_path(&key.to_string()).await
    }

    pub(super) async fn read_index(&self) -> Result<Option<Bytes>, StoreError> {
        self.read_path(index::FILE).await
    }

    pub(super) async fn read_path(&self, relative: &str) -> Result<Option<Bytes>, StoreError> {
        if let Some(folder) = self.location.folder() {
            return folder::read(&folder.join(relative));
        }
        let path = self.path(relative);
        let object = match self.store.get_opts(&path, GetOptions::default()).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.error(relative, error)),
        };
        // A bucket knows its sizes, so a huge object is refused before it is read.
        if object.meta.size > MAX_BYTES as u64 {
            return Err(StoreError::TooLarge(self.location.join(relative)));
        }
        match object.bytes().await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(self.error(relative, error)),
        }
    }

    pub(super) async fn create(&self, key: &Key, bytes: Bytes) -> Result<Created, StoreError> {
        self.create_path(&key.to_string(), bytes).await
    }

    pub(super) async fn create_path(
        &self,
        relative: &str,
        bytes: Bytes,
    ) -> Result<Created, StoreError> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&self.path(relative), bytes.into(), options).await {
            Ok(_) => Ok(Created::Yes),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::AlreadyThere),
            Err(error) => Err(self.error(relative, error)),
        }
    }

    pub(super) async fn write_index(&self, bytes: Bytes) -> Result<(), StoreError> {
        self.write_file(index::FILE, bytes).await
    }

    pub(super) async fn write_file(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        match self.store.put(&self.path(name), bytes.into()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error(name, error)),
        }
    }

    fn error(&self, relative: &str, error: object_store::Error) -> StoreError {
        // What a disk refuses once it refuses again; a network may do better.
        let remote = !matches!(self.location, Location::Folder(_));
        let transient = remote && matches!(error, object_store::Error::Generic { .. });
        StoreError::Unavailable {
            what: self.location.join(relative),
            transient,
            source: error.into(),
        }
    }
}

/// Opens a bucket with the settings of its provider's usual environment variables.
#[cfg(any(feature = "aws", feature = "gcp", feature = "azure"))]
fn open_bucket(url: &url::Url) -> Result<(Arc<dyn ObjectStore>, Path), StoreError> {
    let feature = feature_of(url);
    let enabled = match feature {
        "aws" => cfg!(feature = "aws"),
        "gcp" => cfg!(feature = "gcp"),
        _ => cfg!(feature = "azure"),
    };
    if !enabled {
        return Err(StoreError::needs_feature(url, feature));
    }
    let settings = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        ["AWS_", "AZURE_", "GOOGLE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            .then_some((name, value))
    });
    let (store, prefix) = object_store::parse_url_opts(url, settings)
        .map_err(|error| StoreError::unavailable(url.as_str(), error))?;
    Ok((store.into(), prefix))
}

#[cfg(not(any(feature = "aws", feature = "gcp", feature = "azure")))]
fn open_bucket(url: &url::Url) -> Result<(Arc<dyn ObjectStore>, Path), StoreError> {
    Err(StoreError::needs_feature(url, feature_of(url)))
}

fn feature_of(url: &url::Url) -> &'static str {
    match url.scheme() {
        "s3" | "s3a" => "aws",
        "gs" => "gcp",
        _ => "azure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_found_without_counting_up_to_it() {
        let of = |seqs: &[u64]| {
            let sequence = Sequence::of(seqs.to_vec());
            (sequence.head, sequence.gap)
        };
        assert_eq!(of(&[1]), (1, None));
        assert_eq!(of(&[3, 1, 2]), (3, None));
        assert_eq!(of(&[2]), (2, Some(1)));
        assert_eq!(of(&[1, 2, u64::MAX]), (u64::MAX, Some(3)));
    }
}

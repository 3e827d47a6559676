//! Stores as bytes: what is written stays, what does not fit is named.

use std::fs;

use crate::{
    exit::Exit,
    output::Progress,
    store::{Created, Key, Location, MAX_BYTES, OpenOptions, Store, StoreError},
};

fn at(location: &str) -> Location {
    Location::parse(location).expect("a place")
}

fn open(location: &str) -> Store {
    Store::open(&at(location), &OpenOptions::default()).expect("a store")
}

fn in_folder() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path().to_str().expect("utf-8"));
    (folder, store)
}

#[test]
fn a_document_is_written_once_and_never_again() {
    let (_folder, in_folder) = in_folder();
    for store in [in_folder, open("memory:")] {
        let key = Key::new("orders", 1);
        assert_eq!(store.list().expect("lists").services.len(), 0);
        assert_eq!(store.read(&key, None).expect("reads"), None);
        assert_eq!(store.create(&key, "first".into()).expect("writes"), Created::Yes);
        assert_eq!(store.create(&key, "second".into()).expect("writes"), Created::AlreadyThere);
        assert_eq!(store.read(&key, None).expect("reads").as_deref(), Some(&b"first"[..]));
        store.create(&Key::new("auth", 1), "a".into()).expect("writes");
        let listing = store.list().expect("lists");
        assert_eq!(listing.services.keys().collect::<Vec<_>>(), ["auth", "orders"]);
        assert_eq!(store.list_service("orders").expect("lists").expect("orders").head, 1);
        assert_eq!(store.list_service("order").expect("lists"), None);
        let keys = ["orders", "no-such", "auth"].map(|service| (Key::new(service, 1), None));
        let read = store.read_all(keys, &Progress::hidden(), |_, bytes| Ok(bytes.clone()));
        let texts: Vec<_> = read.into_iter().map(|(_, bytes)| bytes.ok()).collect();
        assert_eq!(texts, [Some("first".into()), None, Some("a".into())]);
    }
}

#[test]
fn what_is_no_document_is_named_and_left_alone() {
    let (folder, store) = in_folder();
    store.create(&Key::new("orders", 1), "x".into()).expect("writes");
    let orders = folder.path().join("services/orders");
    for stray in ["01.json", "2.json.part", "README.md", ".gitkeep"] {
        fs::write(orders.join(stray), "x").expect("writes");
    }
    fs::write(folder.path().join("README.md"), "x").expect("writes");
    let listing = store.list().expect("lists");
    assert_eq!(listing.services["orders"].head, 1);
    assert_eq!(listing.services["orders"].gap, None);
    assert_eq!(listing.strays.len(), 3, "{:?}", listing.strays);
    assert!(listing.strays[0].ends_with("services/orders/01.json"), "{:?}", listing.strays);
}

#[test]
fn a_huge_file_is_refused_before_it_is_read() {
    let (folder, store) = in_folder();
    let key = Key::new("orders", 1);
    store.create(&key, "x".into()).expect("writes");
    let file =
        fs::File::options().write(true).open(folder.path().join(key.to_string())).expect("opens");
    // Sparse: takes no room on the disk, and would take all memory when read.
    file.set_len(1 << 40).expect("grows");
    let error = store.read(&key, None).expect_err("too large");
    assert!(matches!(error, StoreError::TooLarge(_)), "{error:?}");
    assert!(error.to_string().contains("services/orders/1.json"), "{error}");
    file.set_len(MAX_BYTES as u64).expect("shrinks");
    assert_eq!(store.read(&key, None).expect("reads").map(|bytes| bytes.len()), Some(MAX_BYTES));
}

#[test]
fn a_missing_folder_is_not_made_by_mistake() {
    let error = Store::open(&at("no/such/folder"), &OpenOptions::default()).expect_err("missing");
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.to_string().contains("make it first"), "{error}");
}

#[cfg(feature = "http")]
#[path = "../../tests/cli/support/web.rs"]
mod server;

#[cfg(feature = "http")]
mod web {
    use std::collections::BTreeMap;

    use crate::store::index::{Head, Index};

    use super::{
        server::{Mood, WebServer},
        *,
    };

    /// A folder with `orders` at 1, its index, a server over it and a cache.
    struct Site {
        folder: tempfile::TempDir,
        cache: tempfile::TempDir,
        server: WebServer,
    }

    impl Site {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let site = Self {
                cache: tempfile::tempdir().expect("a folder"),
                server: WebServer::start(folder.path()),
                folder,
            };
            site.publish(1, "sha256:one");
            site
        }

        fn publish(&self, seq: u64, digest: &str) {
            let store = open(self.folder.path().to_str().expect("utf-8"));
            let document = format!(r#"{{"digest": "{digest}"}}"#);
            store.create(&Key::new("orders", seq), document.into()).expect("writes");
            let head = Head { seq, digest: digest.to_owned() };
            let index = Index::new(BTreeMap::from([("orders".to_owned(), head)]));
            store.write_index(&index).expect("writes");
        }

        fn open(&self, offline: bool) -> Store {
            let cache = Some(self.cache.path().to_path_buf());
            Store::open(&at(&self.server.url()), &OpenOptions { offline, cache }).expect("opens")
        }

        fn load(&self, offline: bool) -> Result<Vec<String>, StoreError> {
            let store = self.open(offline);
            let listing = store.list()?;
            let keys = listing
                .services
                .into_iter()
                .map(|(service, sequence)| (Key::new(service, sequence.head), sequence.digest));
            store
                .read_all(keys, &Progress::hidden(), |_, bytes| Ok(bytes.clone()))
                .into_iter()
                .map(|(_, bytes)| Ok(String::from_utf8_lossy(&bytes?).into_owned()))
                .collect()
        }
    }

    #[test]
    fn what_did_not_change_is_not_sent_again() {
        let site = Site::new();
        assert_eq!(site.load(false).expect("loads"), [r#"{"digest": "sha256:one"}"#]);
        assert_eq!(site.server.take_log(), ["200 /index.json", "200 /services/orders/1.json"]);
        assert_eq!(site.load(false).expect("loads"), [r#"{"digest": "sha256:one"}"#]);
        assert_eq!(site.server.take_log(), ["304 /index.json"]);

        site.publish(2, "sha256:two");
        assert_eq!(site.load(false).expect("loads"), [r#"{"digest": "sha256:two"}"#]);
        assert_eq!(site.server.take_log(), ["200 /index.json", "200 /services/orders/2.json"]);
    }

    #[test]
    fn a_cached_document_of_another_digest_is_asked_for_again() {
        let site = Site::new();
        site.load(false).expect("loads");
        // The dictionary was begun anew: the same number, another document.
        fs::remove_file(site.folder.path().join("services/orders/1.json")).expect("removes");
        site.publish(1, "sha256:other");
        assert_eq!(site.load(false).expect("loads"), [r#"{"digest": "sha256:other"}"#]);
    }

    #[test]
    fn offline_reads_what_is_cached_and_nothing_else() {
        let site = Site::new();
        let error = site.load(true).expect_err("nothing cached");
        assert_eq!(error.exit(), Exit::Undetermined);
        site.load(false).expect("loads");
        site.server.take_log();
        assert_eq!(site.load(true).expect("loads"), [r#"{"digest": "sha256:one"}"#]);
        assert!(site.server.take_log().is_empty());
    }

    #[test]
    fn a_busy_server_is_asked_again_and_an_endless_answer_is_cut() {
        let site = Site::new();
        site.server.set_mood(Mood::Busy(2));
        assert_eq!(site.load(false).expect("loads").len(), 1);
        site.server.set_mood(Mood::Busy(3));
        let error = site.load(false).expect_err("busy");
        assert!(error.is_transient());
        site.server.set_mood(Mood::Endless);
        let error = site.load(false).expect_err("endless");
        assert!(matches!(error, StoreError::TooLarge(_)), "{error:?}");
    }

    #[test]
    fn a_missing_or_damaged_index_says_how_to_rebuild_it() {
        let site = Site::new();
        let index = site.folder.path().join("index.json");
        for text in [
            "",
            "[]",
            r#"{"schema": 2, "services": {}}"#,
            r#"{"schema": 1, "services": {"../x": {"seq": 1, "digest": ""}}}"#,
            r#"{"schema": 1, "services": {"orders": {"seq": 0, "digest": ""}}}"#,
            r#"{"schema": 1, "services": {"orders": {"seq": 9007199254740991, "digest": ""}}}"#,
        ] {
            fs::write(&index, text).expect("writes");
            let error = site.load(false).expect_err(text);
            assert!(error.to_string().contains("cargo meshwise index"), "{error}");
        }
        fs::remove_file(&index).expect("removes");
        let error = site.load(false).expect_err("missing");
        assert!(error.to_string().contains("cargo meshwise index"), "{error}");
    }

    #[test]
    fn nothing_is_written_over_http() {
        let site = Site::new();
        let error =
            site.open(false).create(&Key::new("orders", 2), "x".into()).expect_err("read only");
        assert_eq!(error.exit(), Exit::Usage);
    }
}

//! Dictionaries in a git checkout and on a web server.

use std::process::Command;

use crate::support::{place::Place, shop::AUTH};

fn git(place: &Place, args: &[&str]) -> bool {
    Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(args)
        .current_dir(place.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn a_git_checkout_is_a_folder_whose_publishes_wait_for_a_commit() {
    let place = Place::new();
    if !git(&place, &["init", "-q"]) {
        return; // No git on this machine; the command does without it too.
    }
    place.declare("auth", AUTH);
    let publish = ["publish", "--declaration", "auth/api.toml"];
    let ran = place.expect(0, &publish);
    assert!(ran.stderr.contains("1 document in dictionary not committed"), "{ran}");
    assert!(git(&place, &["add", "."]) && git(&place, &["commit", "-qm", "publish"]));
    let ran = place.expect(0, &publish);
    assert_eq!(ran.stderr, "", "{ran}");

    // From now on there is a commit to publish from; changed files make it a dirty one.
    place.declare("auth", &AUTH.replace("opaque", "signed"));
    place.expect(0, &publish);
    let document = place.read("dictionary/services/auth/2.json");
    let json: serde_json::Value = serde_json::from_str(&document).expect("json");
    let commit = json["commit"].as_str().expect("a commit");
    assert!(commit.ends_with("-dirty") && commit.len() == 46, "{commit}");
}

#[test]
fn publish_keeps_an_index_and_makes_none() {
    let place = Place::shop();
    let index = place.path().join("dictionary/index.json");
    assert!(!index.exists());
    let ran = place.expect(0, &["index"]);
    assert_eq!(ran.stdout, "wrote dictionary/index.json: 3 services, 3 documents, all whole\n");
    place.declare("auth", &AUTH.replace("opaque", "signed"));
    place.publish("auth");
    let kept = place.read("dictionary/index.json");
    std::fs::remove_file(&index).expect("removes");
    place.expect(0, &["index"]);
    assert_eq!(place.read("dictionary/index.json"), kept, "the same as one made anew");
}

#[cfg(feature = "http")]
mod web {
    use super::*;
    use crate::support::{place::Ran, web::WebServer};

    fn ask(place: &Place, code: i32, args: &[&str], url: &str) -> Ran {
        place.expect(code, &[args, &["--dictionary", url]].concat())
    }

    #[test]
    fn any_web_server_will_do_for_readers() {
        let place = Place::shop();
        let server = WebServer::start(&place.path().join("dictionary"));
        let url = server.url();
        let ran = ask(&place, 3, &["graph"], &url);
        assert!(ran.stderr.contains("cargo meshwise index"), "{ran}");
        place.expect(0, &["index"]);
        assert_eq!(ask(&place, 0, &["graph"], &url).stdout, place.expect(0, &["graph"]).stdout);
        server.take_log();
        let orders = ["--declaration", "orders/api.toml"];
        ask(&place, 0, &[&["check"], &orders[..]].concat(), &url);
        // One request, and one for each provider: is there a newer document of it?
        let asked =
            ["304 /heads.json", "404 /services/auth/2.json", "404 /services/billing/2.json"];
        assert_eq!(server.take_log(), asked);

        // Offline: from the cache, without a word to the server.
        ask(&place, 0, &[&["lock", "--offline"], &orders[..]].concat(), &url);
        ask(&place, 0, &[&["check", "--offline"], &orders[..]].concat(), &url);
        assert!(server.take_log().is_empty());
        let lock = place.read("orders/api.lock");
        assert!(lock.contains(&format!("source = \"{url}\"")), "{lock}");

        // What is cached is as old as when the server was last asked, not as today.
        let index = std::fs::read_dir(place.path().join("cache"))
            .expect("cached")
            .find_map(|folder| Some(folder.ok()?.path().join("heads.json")))
            .expect("cached");
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_577_836_800);
        let file = std::fs::File::options().append(true).open(&index).expect("opens");
        file.set_modified(long_ago).expect("sets");
        let lock = |place: &Place| {
            ask(place, 0, &[&["lock", "--offline", "--update"], &orders[..]].concat(), &url);
            place.read("orders/api.lock")
        };
        let asked_long_ago = "fetched_at = \"2020-01-01T00:00:00Z\"";
        assert!(lock(&place).contains(asked_long_ago));
        ask(&place, 0, &["graph"], &url);
        assert_eq!(server.take_log(), ["304 /heads.json"]);
        assert!(!lock(&place).contains(asked_long_ago));

        // Without a cache the lock file alone is asked.
        std::fs::remove_dir_all(place.path().join("cache")).expect("removes");
        let ran = ask(&place, 0, &[&["check", "--offline"], &orders[..]].concat(), &url);
        assert!(ran.stdout.contains("by api.lock of"), "{ran}");
        assert!(server.take_log().is_empty());

        let auth = ["publish", "--declaration", "auth/api.toml"];
        place.declare("auth", &AUTH.replace("opaque", "signed"));
        let ran = ask(&place, 2, &auth, &url);
        assert!(ran.stderr.contains("is read only"), "{ran}");
    }

    #[test]
    fn a_cold_reader_makes_one_request_and_one_for_each_provider() {
        let place = Place::new();
        let at = "2026-01-01T00:00:00Z".parse().expect("a moment");
        for service in 0..60 {
            let mut parent = None;
            for seq in 1..=10 {
                let text = format!(
                    "schema = 1\n[service]\nname = \"s{service}\"\nowner = \"o{seq}\"\n[[provides]]\napi = \"s{service}\"\nscheme = \"exact\"\nversions = [{{ version = \"1\", released = 2024-01-01 }}]\n"
                );
                let declaration =
                    meshwise_api::Declaration::parse("api.toml", &text).expect("valid");
                let draft = meshwise_api::Draft::new(declaration, at, "ci");
                let document = draft.seal(parent.as_ref()).expect("sealed");
                place.write(&format!("dictionary/{}", document.path()), document.to_json());
                parent = Some(document);
            }
        }
        place.expect(0, &["index"]);
        let server = WebServer::start(&place.path().join("dictionary"));
        let mut text = "schema = 1\n[service]\nname = \"shop\"\n".to_owned();
        for api in ["s1", "s20", "s59"] {
            text += &format!("[[requires]]\napi = \"{api}\"\nversion = \"1\"\n");
        }
        place.write("api.toml", &text);
        for args in [&["check"][..], &["lock", "--update"], &["check", "--ci"]] {
            std::fs::remove_dir_all(place.path().join("cache")).ok();
            ask(&place, 0, args, &server.url());
            let asked = server.take_log();
            assert!(asked.len() <= 1 + 3, "{args:?}: {asked:?}");
            assert_eq!(asked[0], "200 /heads.json");
        }
        // Of all that know more none is asked for more than its next document.
        std::fs::remove_dir_all(place.path().join("cache")).ok();
        ask(&place, 0, &["graph"], &server.url());
        assert_eq!(server.take_log(), ["200 /heads.json"]);
    }

    #[test]
    fn a_dictionary_begun_anew_is_not_mixed_with_its_cache() {
        let place = Place::shop();
        // Two documents of auth, so that the first is known by its place only.
        place.declare("auth", &AUTH.replace("opaque", "signed"));
        place.publish("auth");
        place.expect(0, &["index"]);
        let server = WebServer::start(&place.path().join("dictionary"));
        ask(&place, 0, &["graph"], &server.url());

        std::fs::remove_dir_all(place.path().join("dictionary/services/auth")).expect("removes");
        for notes in ["are hidden", "are short"] {
            place.declare("auth", &AUTH.replace("are opaque", notes));
            place.publish("auth");
        }
        place.expect(0, &["index"]);
        let ran = ask(&place, 0, &["changelog", "auth"], &server.url());
        assert!(ran.stdout.contains("are short"), "{ran}");
    }

    #[test]
    fn a_server_that_is_gone_is_undetermined() {
        let place = Place::shop();
        // A port that was free a moment ago, and that no one listens on now.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let url = format!("http://user:secret@127.0.0.1:{port}/");
        let ran = ask(&place, 3, &["graph"], &url);
        assert!(ran.stderr.contains("cannot reach http://127.0.0.1"), "{ran}");
        assert!(!ran.to_string().contains("secret"), "{ran}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told_at_once() {
    let place = Place::new();
    place.declare("auth", AUTH);
    place.write("dictionary/services", "a file in the way");
    let ran = place.expect(3, &["publish", "--declaration", "auth/api.toml"]);
    assert!(ran.stderr.contains("cannot reach dictionary/services"), "{ran}");
    assert!(!ran.stderr.contains("gave up"), "{ran}");
}

#[test]
fn a_place_that_cannot_be_is_usage() {
    let place = Place::new();
    for dictionary in ["no-such-folder", "ftp://example.com/x", "https://example.com/?q"] {
        place.expect(2, &["graph", "--dictionary", dictionary]);
    }
    #[cfg(not(feature = "aws"))]
    {
        let ran = place.expect(2, &["graph", "--dictionary", "s3://bucket/apis"]);
        assert!(ran.stderr.contains("--features aws"), "{ran}");
    }
    let mut command = place.command(&["graph"]);
    let ran = place.finish(command.env_remove("MESHWISE_DICTIONARY"));
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--dictionary"), "{ran}");
    let ran = place.finish(command.env("MESHWISE_DICTIONARY", ""));
    assert!(ran.stderr.contains("no dictionary is named"), "{ran}");
}

#[test]
fn a_lock_file_is_the_same_however_the_dictionary_is_spelt() {
    let place = Place::shop();
    let orders = ["--declaration", "orders/api.toml"];
    let full = place.path().join("dictionary").display().to_string();
    let locked = |dictionary: &str| {
        let args = [&["lock", "--dictionary", dictionary], &orders[..]].concat();
        place.expect(0, &args);
        place.read("orders/api.lock")
    };
    let first = locked(&full);
    assert!(first.contains("source = \"../dictionary\""), "{first}");
    for spelt in ["dictionary", "./dictionary", "orders/../dictionary", &full] {
        assert_eq!(locked(spelt), first, "{spelt}");
    }
    // A copy that says the same is the same.
    let copy = place.path().join("copy");
    let status = Command::new("cp").args(["-r", &full]).arg(&copy).status().expect("cp runs");
    assert!(status.success());
    assert_eq!(locked("copy"), first);
}

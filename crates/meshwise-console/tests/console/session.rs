//! What came can be saved, and shown again.

use crate::support::{config, data, export, order, until};
use meshwise_console::{Console, ConsoleError};
use serde_json::Value;
use std::{io::Write as _, path::Path};

/// Saves sessions of one trace each to a file, one after the other.
async fn saved(file: &Path, traces: impl IntoIterator<Item = u128>) -> Value {
    let mut before = Value::Null;
    for trace in traces {
        let console = Console::start(config().with_save(file)).await.expect("free ports");
        // A line that is being written has no end yet.
        let lines = || std::fs::read_to_string(file).map_or(0, |text| text.matches('\n').count());
        let there = lines();
        export(&console, &order(trace)).await;
        until("a line", async || (lines() > there).then_some(())).await;
        before = data(&console, &format!("traces/{trace:032x}")).await;
    }
    before
}

async fn replayed(file: &Path) -> Console {
    let console = Console::start(config().with_replay(file)).await.expect("free ports");
    until("the end", async || {
        let status = data(&console, "status").await;
        (status["replay"]["lines"].as_u64()? > 0 && status["replay"]["done"] == true).then_some(())
    })
    .await;
    console
}

#[tokio::test]
async fn a_session_that_was_saved_is_shown_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session.jsonl");
    let before = saved(&file, 1..=3).await;
    let again = replayed(&file).await;
    let status = data(&again, "status").await;
    assert_eq!((&status["spans"], &status["came"]["invalid"]), (&18.into(), &0.into()));
    let after = data(&again, "traces/00000000000000000000000000000003").await;
    assert_eq!(after["tree"], before["tree"]);
}

#[tokio::test]
async fn a_session_file_is_gone_on_with_and_no_other_file_is_written_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session.jsonl");
    saved(&file, [1]).await;
    // It was broken off in its last line.
    let mut broken = std::fs::File::options().append(true).open(&file).expect("the file");
    broken.write_all(br#"{"heardUnixMilli":"1","resourceSp"#).expect("written");
    // It can be shown and gone on with at a time, and what is added is not shown twice.
    let console = Console::start(config().with_replay(&file).with_save(&file)).await;
    let console = console.expect("free ports");
    export(&console, &order(2)).await;
    until("both", async || (data(&console, "status").await["spans"] == 12).then_some(())).await;
    until("saved", async || {
        let text = std::fs::read_to_string(&file).ok()?;
        (text.ends_with('\n') && text.lines().count() == 3).then_some(())
    })
    .await;
    drop(console);
    let status = data(&replayed(&file).await, "status").await;
    assert_eq!((&status["spans"], &status["replay"]["unread"]), (&12.into(), &1.into()));

    let other = folder.path().join("notes.txt");
    std::fs::write(&other, "precious").expect("written");
    let refused = Console::start(config().with_save(&other)).await;
    assert!(matches!(refused, Err(ConsoleError::Session { .. })), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&other).expect("text"), "precious");
}

/// Puts a session back in time: what it says of itself, and what it holds.
fn of_another_day(file: &Path, says: bool) {
    const DAYS: u64 = 30 * 86_400_000;
    let text = std::fs::read_to_string(file).expect("text");
    let back = |line: &str| {
        let mut line: Value = serde_json::from_str(line).expect("JSON");
        let heard = line["heardUnixMilli"].as_str().and_then(|at| at.parse::<u64>().ok());
        line["heardUnixMilli"] = (heard.expect("a number") - DAYS).to_string().into();
        if !says {
            line.as_object_mut().expect("an object").remove("heardUnixMilli");
        }
        let spans = line["resourceSpans"].as_array_mut().expect("a list").iter_mut();
        for span in spans.flat_map(|of| of["scopeSpans"][0]["spans"].as_array_mut().expect("spans"))
        {
            for time in ["startTimeUnixNano", "endTimeUnixNano"] {
                let at = span[time].as_str().and_then(|at| at.parse::<u64>().ok());
                span[time] = (at.expect("a number") - DAYS * 1_000_000).to_string().into();
            }
        }
        format!("{line}\n")
    };
    std::fs::write(file, text.lines().map(back).collect::<String>()).expect("written");
}

#[tokio::test]
async fn a_session_of_another_day_is_seen_as_it_was_until_something_comes() {
    for says in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("session.jsonl");
        saved(&file, 1..=3).await;
        of_another_day(&file, says);
        let again = replayed(&file).await;
        let seen = data(&again, "map").await;
        let status = data(&again, "status").await;
        let end = status["replay"]["stands_at"].as_u64().expect("a time");
        assert_eq!((&seen["now"], &status["now"]), (&end.into(), &end.into()));
        let edges = seen["map"]["edges"].as_array().expect("edges");
        let stock = edges.iter().find(|edge| edge["server"] == "stock").expect("an edge");
        assert_eq!((&stock["calls"], &stock["failed"]), (&3.into(), &3.into()));
        let kinds: Vec<_> = seen["problems"].as_array().expect("a list").iter().collect();
        assert_eq!(kinds[0]["subject"], "stock");
        assert!(kinds.iter().all(|problem| problem["kind"] != "clock"), "{kinds:?}");
        // Something comes: the time goes on, and the session is kept.
        export(&again, &order(4)).await;
        let status = data(&again, "status").await;
        assert!(status["now"].as_u64().expect("a time") > end + 86_400_000);
        assert!(status["replay"]["stands_at"].is_null());
        assert_eq!(status["traces"], 4);
    }
}

#[tokio::test]
async fn a_file_is_read_gzipped_too_and_one_that_is_no_session_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session.jsonl");
    saved(&file, [1, 2]).await;
    let zipped = folder.path().join("session.jsonl.gz");
    let to = std::fs::File::create(&zipped).expect("a file");
    let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::fast());
    encoder.write_all(&std::fs::read(&file).expect("bytes")).expect("written");
    encoder.finish().expect("written");
    assert_eq!(data(&replayed(&zipped).await, "status").await["spans"], 12);

    let cut = folder.path().join("cut.gz");
    let bytes = std::fs::read(&zipped).expect("bytes");
    std::fs::write(&cut, &bytes[..bytes.len() - 20]).expect("written");
    assert_eq!(data(&replayed(&cut).await, "status").await["replay"]["unread"], 1);

    let other = folder.path().join("notes.txt");
    std::fs::write(&other, b"precious\n\xff\nnull\n").expect("written");
    let status = data(&replayed(&other).await, "status").await;
    assert_eq!((&status["replay"]["lines"], &status["replay"]["unread"]), (&3.into(), &3.into()));
    let refused = Console::start(config().with_replay(folder.path())).await;
    assert!(matches!(refused, Err(ConsoleError::Session { .. })), "{refused:?}");
}

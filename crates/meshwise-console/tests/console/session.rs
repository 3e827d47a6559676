//! What came can be saved, and shown again.

use crate::support::{config, data, export, order, until};
use meshwise_console::Console;

#[tokio::test]
async fn a_session_that_was_saved_is_shown_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session.jsonl");
    let first = Console::start(config().with_save(&file)).await.expect("free ports");
    for trace in 1..=3 {
        export(&first, &order(trace)).await;
    }
    until("three lines", async || {
        let text = std::fs::read_to_string(&file).ok()?;
        (text.lines().count() == 3).then_some(())
    })
    .await;
    let before = data(&first, "traces/00000000000000000000000000000002").await;
    drop(first);
    let again = Console::start(config().with_replay(&file)).await.expect("free ports");
    until("all spans", async || (data(&again, "status").await["spans"] == 18).then_some(())).await;
    let after = data(&again, "traces/00000000000000000000000000000002").await;
    assert_eq!(after["tree"], before["tree"]);
    assert_eq!(data(&again, "status").await["came"]["invalid"], 0);
}

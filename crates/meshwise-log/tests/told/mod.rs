//! What is told on standard error.

/// Runs a test of the same file in a process of its own, and returns what that says on standard error;
/// `None` in that process.
pub(crate) fn told_by(test: &str) -> Option<String> {
    if std::env::var_os("TELLING_CHILD").is_some() {
        return None;
    }
    let child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args([test, "--exact", "--nocapture"])
        .env("TELLING_CHILD", "1")
        .output()
        .expect("runs");
    let told = String::from_utf8(child.stderr).expect("text");
    assert!(child.status.success(), "{told}");
    Some(told)
}

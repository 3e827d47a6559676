//! What retries are made of.

use super::*;
use crate::Backoff;

#[test]
fn a_longest_wait_below_the_first_is_refused() {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_millis(1));
    let config = RetryConfig::new().with_backoff(backoff);
    assert_eq!(
        Retries::new(&"stock".into(), config).unwrap_err().to_string(),
        "retry.backoff.max is 1ms: set it to at least retry.backoff.base (1s)"
    );
}

//! Delivering notices: again where that helps, and never without end.

use std::time::Duration;

use meshwise_api::Date;
use serde::Serialize;
use serde_json::{Value, json};

use super::Notice;

/// How often a notice is posted before it counts as failed.
const ATTEMPTS: u32 = 5;
/// How long to wait before the second attempt; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait, also if the server asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so many notices in a row that no one accepted, the rest is not tried.
const PATIENCE: usize = 3;

/// What a receiver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    /// The status.
    pub status: u16,
    /// How long to wait, if it said so.
    pub retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub String);

/// Posts JSON to a receiver.
pub(crate) trait Post {
    /// Posts a body once, under a key.
    ///
    /// # Errors
    /// If there is no answer.
    fn post(&self, key: &str, body: &Value) -> Result<Posted, Refusal>;
}

/// How the delivery of a notice ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub(crate) struct Delivery {
    /// The notice's key.
    pub key: String,
    /// The dependent that it is for.
    pub service: String,
    /// The version that it is about, as `api@version`.
    pub about: String,
    /// How often it was posted.
    pub attempts: u32,
    /// Why it was not delivered; none if it was.
    pub error: Option<String>,
}

impl Delivery {
    /// Says that there is no address for a notice.
    #[cfg(feature = "http")]
    pub(super) fn nowhere(notice: &Notice) -> Self {
        Self {
            key: notice.key.clone(),
            service: notice.service.clone(),
            about: format!("{}@{}", notice.api, notice.version),
            attempts: 0,
            error: Some(
                "its owner has no address under contacts, and there is no --webhook".into(),
            ),
        }
    }

    /// Tells whether the receiver accepted it.
    #[must_use]
    pub(crate) fn is_delivered(&self) -> bool {
        self.error.is_none()
    }
}

/// Posts every notice; `sleep` is called with each wait.
///
/// No answer, 429 and 5xx are tried again, up to five times, after 1, 2, 4 and 8 seconds or what
/// `Retry-After` says; a wait of more than a minute is not waited for. Every other status but 2xx
/// is final. When three notices in a row found no one, the others are not tried.
pub(crate) fn deliver(
    notices: &[Notice],
    today: Date,
    receiver: &dyn Post,
    sleep: &mut dyn FnMut(Duration),
) -> Vec<Delivery> {
    let mut unreached = 0;
    notices
        .iter()
        .map(|notice| {
            let mut delivery = Delivery {
                key: notice.key.clone(),
                service: notice.service.clone(),
                about: format!("{}@{}", notice.api, notice.version),
                attempts: 0,
                error: None,
            };
            if unreached >= PATIENCE {
                delivery.error = Some("not tried: the receiver is gone".to_owned());
                return delivery;
            }
            let body = json!({"schema": 1, "today": today, "notice": notice});
            let (attempts, result) = attempt(&notice.key, &body, receiver, sleep);
            delivery.attempts = attempts;
            match result {
                Ok(()) => unreached = 0,
                Err((error, is_final)) => {
                    unreached = if is_final { 0 } else { unreached + 1 };
                    delivery.error = Some(error);
                }
            }
            delivery
        })
        .collect()
}

/// Posts one notice until it is taken; the error says whether it was refused for good.
pub(crate) fn attempt(
    key: &str,
    body: &Value,
    receiver: &dyn Post,
    sleep: &mut dyn FnMut(Duration),
) -> (u32, Result<(), (String, bool)>) {
    let mut wait = FIRST_WAIT;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (error, asked) = match receiver.post(key, body) {
            Ok(Posted { status: 200..=299, .. }) => return (attempts, Ok(())),
            Ok(Posted { status, retry_after }) if status == 429 || status >= 500 => {
                (format!("the receiver answered {status}"), retry_after)
            }
            Ok(Posted { status, .. }) => {
                return (attempts, Err((format!("the receiver answered {status}"), true)));
            }
            Err(Refusal(why)) => (why, None),
        };
        let pause = asked.unwrap_or(wait);
        if pause > LONGEST_WAIT {
            let seconds = pause.as_secs();
            let error = format!("{error} and asks to come back in {seconds} s");
            return (attempts, Err((error, false)));
        }
        if attempts >= ATTEMPTS {
            return (attempts, Err((format!("{error}, {ATTEMPTS} times"), false)));
        }
        sleep(pause);
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

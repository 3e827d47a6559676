//! Counting the versions of APIs that are made of messages.

use super::{ApiConfigError, calls::Calls, notice::NoticeLinks, row::Row, versions::Versions};
use crate::runtime::{clock::Clock, counting_setters, recorder::Recorder, routes::ApiRoutes};
use meshwise_api::Declared;
use std::{fmt, sync::Arc};

/// Counts the messages that a service takes, by API, version and sender.
///
/// No layer sees a message come in, so the consumer says so, once for each. That is counted
/// in the same metrics as calls, so that `can-i-remove` answers for APIs of
/// transport `messages` as for others; until its consumer [begins](Self::begin) no version of an API is said to be watched.
///
/// ```
/// use meshwise_api::{Date, Declared, ProvidedApi, ProvidedVersion};
/// use meshwise_api_http::ApiMessages;
///
/// # const DECLARED: Declared = Declared {
/// #     provides: &[ProvidedApi {
/// #         api: "orders.placed", scheme: "semver", transport: "messages", description: None,
/// #         versions: &[ProvidedVersion {
/// #             released: Date::new(2024, 2, 29), ..ProvidedVersion::new("1.0.0")
/// #         }],
/// #     }],
/// #     ..Declared::new("billing")
/// # };
/// let messages = ApiMessages::builder(DECLARED).build()?;   // meshwise_api::declared!()
/// messages.begin("orders.placed");                           // the consumer is subscribed
/// messages.received("orders.placed", Some("1.0.0"), Some("orders"));
/// # Ok::<(), meshwise_api_http::ApiConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ApiMessages(Arc<Counting>);

#[derive(Debug)]
struct Counting {
    versions: Versions,
    calls: Calls,
    clock: Clock,
}

/// Puts an [`ApiMessages`] together.
#[derive(Clone)]
#[must_use]
pub struct ApiMessagesBuilder {
    declared: Declared,
    max_callers: usize,
    recorder: Recorder,
    clock: Clock,
}

impl ApiMessages {
    /// Starts with the default settings.
    pub fn builder(declared: Declared) -> ApiMessagesBuilder {
        ApiMessagesBuilder {
            declared,
            max_callers: 200,
            recorder: Recorder::default(),
            clock: Clock::default(),
        }
    }

    /// Says that every message of an API is counted from now on. Only the first time counts.
    pub fn begin(&self, api: &str) {
        let Counting { versions, calls, clock } = &*self.0;
        let seen = |row: &Row| !row.by_request && row.api == api;
        calls.watch(versions.rows(), seen, || clock.seconds());
    }

    /// Counts a message of an API: in the version that it names, or the only one that it can be of. One
    /// that cannot be told, or is of an API which was never declared, counts as unrouted.
    pub fn received(&self, api: &str, version: Option<&str>, sender: Option<&str>) {
        let Counting { versions, calls, clock } = &*self.0;
        let today = clock.seconds().div_euclid(86_400);
        let who = calls.who(sender.map(|sender| (sender, false)));
        match versions.message(api, version, today) {
            Some(at) => {
                if let Some(row) = versions.rows().get(at) {
                    calls.count(at, row, row.state(today), who);
                }
            }
            None => calls.count_unrouted(who),
        }
    }
}

impl ApiMessagesBuilder {
    /// Sets how many senders are told apart; messages of further ones count for `_other`. Default:
    /// 200.
    pub fn with_max_callers(mut self, callers: usize) -> Self {
        self.max_callers = callers;
        self
    }

    counting_setters!();

    /// Makes it.
    ///
    /// # Errors
    /// None, unless the declaration contradicts itself.
    pub fn build(self) -> Result<ApiMessages, ApiConfigError> {
        let versions = Versions::new(&self.declared, ApiRoutes::new(), &NoticeLinks::default())?;
        let calls = Calls::new(self.recorder, self.max_callers, versions.rows());
        Ok(ApiMessages(Arc::new(Counting { versions, calls, clock: self.clock })))
    }
}

impl fmt::Debug for ApiMessagesBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiMessagesBuilder")
            .field("service", &self.declared.service)
            .finish_non_exhaustive()
    }
}

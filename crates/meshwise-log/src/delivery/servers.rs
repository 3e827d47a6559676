//! Servers that take the same lines: one is used while it answers, then the next.

use super::{Delivery, DeliveryError};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Says which servers there are, and how they are met.
#[derive(Clone)]
pub(super) struct ServersConfig {
    addresses: Vec<String>,
    ca_file: Option<PathBuf>,
    timeout: Duration,
}

impl ServersConfig {
    pub(super) fn new<S: Into<String>>(
        addresses: impl IntoIterator<Item = S>,
        timeout: Duration,
    ) -> Self {
        let addresses = addresses.into_iter().map(Into::into).collect();
        Self { addresses, ca_file: None, timeout }
    }

    pub(super) fn set_ca_file(&mut self, path: PathBuf) {
        self.ca_file = Some(path);
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout.max(Duration::from_millis(1));
    }

    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Reads the addresses.
    ///
    /// # Errors
    /// If one cannot be understood, or there is none.
    pub(super) fn parse<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, DeliveryError>,
    ) -> Result<Servers<T>, DeliveryError> {
        let all: Vec<T> =
            self.addresses.iter().map(|address| parse(address)).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(DeliveryError::NoServer);
        }
        Ok(Servers { all, current: 0 })
    }
}

/// Says why a server did not take a batch.
pub(super) struct Refusal {
    pub(super) retry_after: Option<Duration>,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(reason: impl fmt::Display) -> Self {
        Self { retry_after: None, reason: reason.to_string() }
    }
}

impl From<Refusal> for Delivery {
    fn from(Refusal { retry_after, reason }: Refusal) -> Self {
        Self::Refused { retry_after, reason }
    }
}

/// The servers, of which one is current.
pub(super) struct Servers<T> {
    all: Vec<T>,
    current: usize,
}

impl<T: fmt::Display> Servers<T> {
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.all.iter()
    }

    /// Tries each server once, from the current one on; the first that takes the batch stays the current
    /// one.
    ///
    /// # Errors
    /// If none has taken it: each one's reason, and the longest time that one has asked for.
    pub(super) fn first<R>(
        &mut self,
        mut send: impl FnMut(&T) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        let mut asked = None;
        let mut reasons = Vec::with_capacity(self.all.len());
        for _ in 0..self.all.len() {
            let server = &self.all[self.current];
            match send(server) {
                Ok(taken) => return Ok(taken),
                Err(Refusal { retry_after, reason }) => {
                    asked = asked.max(retry_after);
                    reasons.push(format!("{server}: {reason}"));
                }
            }
            self.current = (self.current + 1) % self.all.len();
        }
        Err(Refusal { retry_after: asked, reason: reasons.join("; ") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(addresses: &[&str]) -> Result<Servers<String>, DeliveryError> {
        let config = ServersConfig::new(addresses.iter().copied(), Duration::ZERO);
        config.parse(|address| Ok(address.to_owned()))
    }

    #[test]
    fn the_first_that_answers_stays_and_all_reasons_are_told() {
        assert!(matches!(servers(&[]), Err(DeliveryError::NoServer)));
        let mut three = servers(&["a", "b", "c"]).expect("servers");
        let mut asked = Vec::new();
        let mut ask = |takes: &str| {
            let taken = three.first(|server| {
                asked.push(server.clone());
                let seconds = (server == "b").then(|| Duration::from_secs(3));
                let refusal = Refusal { retry_after: seconds, ..Refusal::new("no") };
                if server == takes { Ok(()) } else { Err(refusal) }
            });
            taken.map_err(|refusal| (refusal.retry_after, refusal.reason))
        };
        assert_eq!(ask("b"), Ok(()));
        assert_eq!(ask("b"), Ok(()));
        let none = Err((Some(Duration::from_secs(3)), "b: no; c: no; a: no".to_owned()));
        assert_eq!(ask("none"), none);
        assert_eq!(ask("c"), Ok(()));
        assert_eq!(asked, ["a", "b", "b", "b", "c", "a", "b", "c"]);
    }
}

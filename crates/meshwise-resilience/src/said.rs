//! What an operator says of guards, checked before any client is made.

use crate::{
    config::ConfigError,
    peer::{PeerConfig, PeerLayer},
    shed::{ShedConfig, ShedLayer},
};
use meshwise_core::settings::{Contradictions, Settings};
use metrics::NoopRecorder;
use std::collections::BTreeSet;

/// Stands for a peer of which nothing is said by its name.
const ANY: &str = "any";

/// Finds what the operator says of guards that cannot be followed, under `code`.
#[doc(hidden)]
#[must_use]
pub fn contradictions(code: &Settings, said: &Settings) -> Contradictions {
    let mut found = Contradictions::default();
    let mut search = |sections: &[&str], check: &dyn Fn(&Settings) -> Result<(), ConfigError>| {
        found.search(said, sections, |said| {
            metrics::with_local_recorder(&NoopRecorder, || check(said))
                .err()
                .map(ConfigError::parts)
        });
    };
    let named = said.peers.iter().map(|(name, _)| name).filter(|name| *name != ANY);
    for peer in [ANY].into_iter().chain(BTreeSet::from_iter(named)) {
        search(&["peer", &format!("peers.{peer}")], &|said| {
            let config = PeerConfig::new().with_settings(&code.peer(peer));
            PeerLayer::new(peer, config.with_settings(&said.peer(peer))).map(drop)
        });
    }
    search(&["shed"], &|said| {
        if said.shed.enabled.get() == Some(&false) {
            return Ok(());
        }
        let config = ShedConfig::new().with_settings(&code.shed).with_settings(&said.shed);
        ShedLayer::new("server", config).map(drop)
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::{Env, settings::Problem};

    fn found(variables: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let env = Env::from_pairs(variables.iter().copied());
        let said = Settings::from_env(&env).expect("each is allowed");
        let found = contradictions(&Settings::default(), &said);
        let texts = |all: Vec<Problem>| all.iter().map(ToString::to_string).collect();
        (texts(found.certain), texts(found.likely))
    }

    #[test]
    fn what_contradicts_itself_is_certain_and_what_contradicts_a_default_is_likely() {
        let calls = ("MESHWISE_PEERS_STOCK_BREAKER_TRIAL_CALLS", "2");
        let limit = ("MESHWISE_PEERS_STOCK_BREAKER_TRIAL_LIMIT", "3");
        assert_eq!(found(&[]), (vec![], vec![]));
        assert_eq!(
            found(&[calls, limit]).0,
            ["MESHWISE_PEERS_STOCK_BREAKER_TRIAL_LIMIT: peers.stock.breaker.trial_limit is 3; \
              allowed: 1 to 2 (MESHWISE_PEERS_STOCK_BREAKER_TRIAL_CALLS: \
              peers.stock.breaker.trial_calls is 2)"]
        );
        let (certain, likely) = found(&[("MESHWISE_PEERS_STOCK_BREAKER_TRIAL_LIMIT", "1000")]);
        assert!(certain.is_empty());
        assert_eq!(likely.len(), 1, "{likely:?}");
        assert!(likely[0].starts_with("MESHWISE_PEERS_STOCK_BREAKER_TRIAL_LIMIT: "), "{likely:?}");
    }

    #[test]
    fn for_all_peers_it_is_told_once_and_half_of_it_may_be_one_peer_s() {
        let for_all =
            [("MESHWISE_PEER_RETRY_BACKOFF_BASE", "5s"), ("MESHWISE_PEER_RETRY_BACKOFF_MAX", "1s")];
        let others =
            [("MESHWISE_PEERS_A_TIMEOUT_LIMIT", "1s"), ("MESHWISE_PEERS_B_TIMEOUT_LIMIT", "1s")];
        let (certain, _) = found(&[&for_all[..], &others[..]].concat());
        assert_eq!(certain.len(), 1, "{certain:?}");
        let (certain, likely) = found(&[for_all[0], ("MESHWISE_PEERS_A_RETRY_BACKOFF_MAX", "1s")]);
        assert!(
            certain.iter().any(|text| text.contains("MESHWISE_PEERS_A_RETRY_BACKOFF_MAX")),
            "{certain:?} {likely:?}"
        );
    }

    #[test]
    fn a_switch_says_nothing_that_code_could_not_make_right() {
        let (certain, likely) = found(&[
            ("MESHWISE_PEERS_STOCK_BULKHEAD_ADAPTIVE_ENABLED", "true"),
            ("MESHWISE_PEERS_STOCK_BULKHEAD_ADAPTIVE_FLOOR", "2000"),
        ]);
        assert!(certain.is_empty(), "{certain:?}");
        assert_eq!(likely.len(), 1, "{likely:?}");
    }

    #[test]
    fn shedding_is_checked_too() {
        let (certain, _) = found(&[
            ("MESHWISE_SHED_ENABLED", "true"),
            ("MESHWISE_SHED_ADAPTIVE_ENABLED", "true"),
            ("MESHWISE_SHED_ADAPTIVE_FLOOR", "90"),
            ("MESHWISE_SHED_ADAPTIVE_CEILING", "80"),
        ]);
        assert_eq!(certain.len(), 1, "{certain:?}");
        assert!(certain[0].contains("_FLOOR") && certain[0].contains("_CEILING"), "{certain:?}");
        let off = found(&[
            ("MESHWISE_SHED_ENABLED", "false"),
            ("MESHWISE_SHED_ADAPTIVE_FLOOR", "90"),
            ("MESHWISE_SHED_ADAPTIVE_CEILING", "80"),
        ]);
        assert_eq!(off, (vec![], vec![]));
    }
}

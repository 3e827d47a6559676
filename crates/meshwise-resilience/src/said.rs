//! What an operator says of guards, checked before any client is made.

use crate::{
    config::ConfigError,
    peer::{PeerConfig, PeerLayer},
    shed::{ShedConfig, ShedLayer},
};
use meshwise_core::settings::{Problem, Settings, Shown};
use metrics::NoopRecorder;
use std::collections::BTreeSet;

/// What is wrong with settings of the operator's that are each allowed.
#[derive(Debug, Default)]
#[non_exhaustive]
#[doc(hidden)]
pub struct Contradictions {
    /// Settings that contradict each other: whatever code says, no guard can be made of them.
    pub certain: Vec<Problem>,
    /// Settings that contradict a default, or what code says that is known by now: what a client's own
    /// closures set is not.
    pub likely: Vec<Problem>,
}

/// Stands for a peer of which nothing is said by its name.
const ANY: &str = "any";

/// Finds what the operator says of guards that cannot be followed, under `code`.
#[doc(hidden)]
#[must_use]
pub fn contradictions(code: &Settings, said: &Settings) -> Contradictions {
    let mut found = Contradictions::default();
    let peers: BTreeSet<&str> = said.peers.iter().map(|(name, _)| name).collect();
    // What holds for all peers alike is told once.
    let mut all: Vec<Problem> = Vec::new();
    let of_peers = [ANY].into_iter().chain(peers.into_iter().filter(|name| *name != ANY));
    for peer in of_peers {
        let own = format!("peers.{peer}.");
        let check = |said: &Settings| {
            let config = PeerConfig::new().with_settings(&code.peer(peer));
            let config = config.with_settings(&said.peer(peer));
            PeerLayer::new(peer, config).err()
        };
        let concerns = |path: &str| path.starts_with(&own) || path.starts_with("peer.");
        search(said, &concerns, &check, &mut all, &mut found);
    }
    let check = |said: &Settings| {
        if said.shed.enabled.get() == Some(&false) {
            return None;
        }
        let config = ShedConfig::new().with_settings(&code.shed).with_settings(&said.shed);
        ShedLayer::new("server", config).err()
    };
    search(said, &|path| path.starts_with("shed."), &check, &mut all, &mut found);
    found
}

fn search(
    said: &Settings,
    concerns: &dyn Fn(&str) -> bool,
    check: &dyn Fn(&Settings) -> Option<ConfigError>,
    told: &mut Vec<Problem>,
    found: &mut Contradictions,
) {
    let check = |said: &Settings| metrics::with_local_recorder(&NoopRecorder, || check(said));
    let Some(error) = check(said) else { return };
    let leaves: Vec<Shown> = said
        .shown()
        .into_iter()
        .filter(|leaf| leaf.value.is_some() && concerns(&leaf.path.to_string()))
        .collect();
    let is_named = |leaf: &Shown| leaf.path.to_string().ends_with(&format!(".{}", error.setting()));
    // One has a part in it if it is what the error names (though it be as by default), or if without it
    // this is not what is wrong.
    let part = |out: &&Shown| {
        let mut without = Settings::default();
        for leaf in leaves.iter().filter(|leaf| leaf.path != out.path) {
            if let Some(value) = &leaf.value {
                without.put(&leaf.path, value.clone(), leaf.source.clone());
            }
        }
        is_named(out) || check(&without).as_ref() != Some(&error)
    };
    let parts: Vec<&Shown> = leaves.iter().filter(part).collect();
    let first = parts.iter().rfind(|leaf| is_named(leaf)).or(parts.last());
    let Some(first) = first else { return };
    let mut problem = match is_named(first) {
        true => format!("is {}; allowed: {}", error.value(), error.allowed()),
        false => format!("cannot be set like this: {error}"),
    };
    for other in parts.iter().filter(|other| other.path != first.path) {
        if let Some(value) = &other.value {
            problem += &format!(" ({}: {} is {value})", other.source, other.path);
        }
    }
    let problem = Problem::new(first.source.clone(), first.path.to_string(), problem);
    if told.contains(&problem) {
        return;
    }
    told.push(problem.clone());
    // What only switches a rule on says nothing that code could not make right.
    let values = parts.iter().filter(|leaf| !leaf.path.to_string().ends_with(".enabled"));
    match values.count() {
        0 | 1 => found.likely.push(problem),
        _ => found.certain.push(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwise_core::Env;

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

//! Samplers by their names in the environment.

use super::{
    SamplerConfig,
    config::{RATE_ALLOWED, RATIO_ALLOWED},
};
use crate::names::{MESHWISE_TRACES_SLOW, OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG};
use meshwise_core::{Env, EnvError};
use std::time::Duration;

const NAMES: &str = "always_on, always_off, traceidratio, ratelimited, keep_errors, or one of \
                     them after `parentbased_`";
const SLOW_ALLOWED: &str = "a duration such as 500ms or 1.5s";
const KEEP_ALLOWED: &str =
    "a ratio from 0 to 1, a duration such as 500ms or 1.5s, or both with a comma between";

/// Reads the sampler's variables; `None` if no sampler is named, or none that can be had.
pub(super) fn parse(env: &Env) -> Result<Option<SamplerConfig>, EnvError> {
    let Some(text) = env.text(OTEL_TRACES_SAMPLER)? else { return Ok(None) };
    let name = text.to_ascii_lowercase();
    let (parent_based, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name.as_str()),
    };
    let refuse = |error| env.refuse(error).map(|()| None);
    let sampler = match kind {
        "always_on" => SamplerConfig::always_on(),
        "always_off" => SamplerConfig::always_off(),
        // The ratio is 1 if it is not given, as the specification has it.
        "traceidratio" => SamplerConfig::ratio(
            env.parse_with(OTEL_TRACES_SAMPLER_ARG, RATIO_ALLOWED, ratio)?.unwrap_or(1.0),
        ),
        "ratelimited" => match env.parse_with(OTEL_TRACES_SAMPLER_ARG, RATE_ALLOWED, rate)? {
            Some(rate) => SamplerConfig::rate_limited(rate),
            None => {
                let problem =
                    format!("is `{name}`, which needs {RATE_ALLOWED} in {OTEL_TRACES_SAMPLER_ARG}");
                return refuse(EnvError::other(OTEL_TRACES_SAMPLER, problem));
            }
        },
        "keep_errors" => keep_errors(env)?,
        "jaeger_remote" | "xray" => {
            let allowed = format!("{NAMES} ({kind} needs a remote service and is not supported)");
            return refuse(EnvError::new(OTEL_TRACES_SAMPLER, text, allowed));
        }
        _ => return refuse(EnvError::new(OTEL_TRACES_SAMPLER, text, NAMES)),
    };
    Ok(Some(if parent_based { SamplerConfig::parent_based(sampler) } else { sampler }))
}

/// Reads `MESHWISE_TRACES_SLOW`.
pub(crate) fn slow(env: &Env) -> Result<Option<Duration>, EnvError> {
    env.parse_with(MESHWISE_TRACES_SLOW, SLOW_ALLOWED, duration)
}

fn keep_errors(env: &Env) -> Result<SamplerConfig, EnvError> {
    let (head, slow) = env
        .parse_with(OTEL_TRACES_SAMPLER_ARG, KEEP_ALLOWED, ratio_and_duration)?
        .unwrap_or_default();
    let sampler = SamplerConfig::keep_errors(match head {
        Some(head) => SamplerConfig::ratio(head),
        None => SamplerConfig::always_off(),
    });
    Ok(match slow {
        Some(slow) => sampler.with_slow_threshold(slow),
        None => sampler,
    })
}

fn ratio(text: &str) -> Option<f64> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
}

fn rate(text: &str) -> Option<f64> {
    text.parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite())
}

/// Parses `0.1`, `1s`, or `0.1,1s`.
fn ratio_and_duration(text: &str) -> Option<(Option<f64>, Option<Duration>)> {
    match text.split_once(',') {
        Some((head, slow)) => Some((Some(ratio(head.trim())?), Some(duration(slow.trim())?))),
        None => ratio(text)
            .map(|head| (Some(head), None))
            .or_else(|| duration(text).map(|slow| (None, Some(slow)))),
    }
}

/// Parses a decimal number and a unit out of `us`, `ms`, `s`, `m`.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let number = number.trim_end();
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a sampler's variables, and what comes of them.
    fn told(name: &str, arg: &str) -> (String, Option<String>) {
        let pairs = [(OTEL_TRACES_SAMPLER, name), (OTEL_TRACES_SAMPLER_ARG, arg)];
        let env = Env::from_pairs(pairs);
        let sampler = parse(&env).unwrap();
        let told: Vec<String> = env.findings().iter().map(ToString::to_string).collect();
        let strict = pairs.into_iter().chain([("MESHWISE_STRICT", "true")]);
        let error = parse(&Env::from_pairs(strict)).unwrap_err();
        assert_eq!(error.to_string(), told[0]);
        (told.join("\n"), sampler.map(|sampler| format!("{sampler:?}")))
    }

    fn shown(pairs: &[(&str, &str)]) -> String {
        format!("{:?}", parse(&Env::from_pairs(pairs.iter().copied())).unwrap().unwrap())
    }

    #[test]
    fn nothing_set_is_no_sampler() {
        assert!(parse(&Env::empty()).unwrap().is_none());
    }

    #[test]
    fn every_name_of_the_specification_parses() {
        for (name, root) in
            [("always_on", "AlwaysOn"), ("always_off", "AlwaysOff"), ("traceidratio", "Ratio(1.0)")]
        {
            for (prefix, parent_based) in [("", "false"), ("parentbased_", "true")] {
                let name = format!("{prefix}{name}");
                let text = shown(&[(OTEL_TRACES_SAMPLER, &name)]);
                assert!(text.contains(root), "{name}: {text}");
                assert!(text.contains(&format!("parent_based: {parent_based}")), "{name}: {text}");
            }
        }
    }

    #[test]
    fn arguments_reach_their_sampler() {
        for (name, arg, wanted) in [
            ("traceidratio", "0.25", "Ratio(0.25)"),
            ("ratelimited", "5", "RateLimited(5.0)"),
            ("parentbased_ratelimited", "0.5", "RateLimited(0.5)"),
            ("keep_errors", "0.1,250ms", "Ratio(0.1)"),
            ("keep_errors", "0.1,250ms", "slow: Some(250ms)"),
            ("keep_errors", "0.1", "slow: None"),
            ("parentbased_keep_errors", "2s", "AlwaysOff"),
            ("parentbased_keep_errors", "2s", "slow: Some(2s)"),
        ] {
            let text = shown(&[(OTEL_TRACES_SAMPLER, name), (OTEL_TRACES_SAMPLER_ARG, arg)]);
            assert!(text.contains(wanted), "{name} {arg}: {text}");
        }
    }

    #[test]
    fn names_are_known_in_any_case() {
        let text = shown(&[(OTEL_TRACES_SAMPLER, "ParentBased_TraceIdRatio")]);
        assert!(text.contains("Ratio(1.0)") && text.contains("parent_based: true"), "{text}");
    }

    #[test]
    fn a_bad_argument_is_as_none_and_told() {
        for arg in ["1.5", "-0.1", "NaN", "ten", "inf"] {
            let (told, sampler) = told("traceidratio", arg);
            assert_eq!(
                told,
                format!("OTEL_TRACES_SAMPLER_ARG is `{arg}`; allowed: a number from 0 to 1")
            );
            assert!(sampler.unwrap().contains("Ratio(1.0)"));
        }
        for arg in ["0", "-1", "NaN", "inf", "", "x"] {
            let (told, sampler) = told("ratelimited", arg);
            assert!(told.contains("a positive number of traces per second"), "{told}");
            assert!(told.contains("OTEL_TRACES_SAMPLER is `ratelimited`, which needs"), "{told}");
            assert_eq!(sampler, None);
        }
        for arg in ["2", "0.1,", ",1s", "0.1,1", "0.1,1h", "1s,0.1", "-1s", "0.1,1s,2s"] {
            let (told, sampler) = told("keep_errors", arg);
            assert!(told.contains("OTEL_TRACES_SAMPLER_ARG"), "{arg}");
            assert!(sampler.unwrap().contains("AlwaysOff"), "{arg}");
        }
    }

    #[test]
    fn a_sampler_that_cannot_be_had_is_as_none_and_told() {
        let (text, sampler) = told("sometimes", "");
        assert!(text.starts_with("OTEL_TRACES_SAMPLER is `sometimes`") && sampler.is_none());
        for name in ["jaeger_remote", "parentbased_jaeger_remote", "xray", "XRay"] {
            let (text, sampler) = told(name, "");
            assert!(text.contains("not supported") && sampler.is_none(), "{name}");
        }
    }

    #[test]
    fn meshwise_s_own_variable_is_an_error() {
        let env = Env::from_pairs([(MESHWISE_TRACES_SLOW, "1500")]);
        assert_eq!(
            slow(&env).unwrap_err().to_string(),
            "MESHWISE_TRACES_SLOW is `1500`; allowed: a duration such as 500ms or 1.5s"
        );
    }
}

//! Samplers by their names in the environment, as the tree of settings reads them.

use super::SamplerConfig;
use meshwise_core::{
    Env,
    settings::{Settings, SettingsError},
};

const OTEL_TRACES_SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const OTEL_TRACES_SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

fn parse(env: &Env) -> Result<Option<SamplerConfig>, SettingsError> {
    let said = Settings::from_standard_env_of(env, |path| path.is_in("traces"))?.traces;
    let sampler = || SamplerConfig::default().with_settings(&said).expect("it has what it needs");
    Ok(said.sampler.is_set().then(sampler))
}

/// What is told of a sampler's variables, and what comes of them.
fn told(name: &str, arg: &str) -> (String, Option<String>) {
    let pairs = [(OTEL_TRACES_SAMPLER, name), (OTEL_TRACES_SAMPLER_ARG, arg)];
    let env = Env::from_pairs(pairs);
    let sampler = parse(&env).unwrap();
    let told: Vec<String> = env.findings().iter().map(ToString::to_string).collect();
    let strict = pairs.into_iter().chain([("MESHWISE_STRICT", "true")]);
    let error = parse(&Env::from_pairs(strict)).unwrap_err();
    assert_eq!(error.problems()[0].to_string(), told[0]);
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
    for arg in ["2", "0.1,", ",1s", "0.1,1", "0.1,1y", "1s,0.1", "-1s", "0.1,1s,2s"] {
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
    let env = Env::from_pairs([("MESHWISE_TRACES_SLOW", "1500")]);
    let error = parse(&env).unwrap_err().to_string();
    assert!(error.starts_with("MESHWISE_TRACES_SLOW is `1500`; allowed: a duration"), "{error}");
}

//! Filter directives, in the language of `RUST_LOG`.

/// Finds what `EnvFilter` takes for the name of a target although no target is called so, as in
/// `info;orders=debug` or `info orders`: all but that would fall silent. Filters of spans and fields may hold
/// anything.
#[must_use]
pub fn not_a_target(directives: &str) -> Option<&str> {
    if directives.contains(['[', '{']) {
        return None;
    }
    let targets = directives.split(',').filter_map(|directive| directive.split('=').next());
    targets.map(str::trim).find(|target| target.contains(|c: char| c == ';' || c.is_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::not_a_target;

    #[test]
    fn what_stands_between_directives_is_a_comma() {
        for good in [
            "info",
            "info,orders=debug",
            " info , orders = debug ,",
            "a::b-c.d=off",
            "",
            "[span{a=\"x; y\"}]=debug",
        ] {
            assert_eq!(not_a_target(good), None, "{good}");
        }
        for (bad, named) in [
            ("info;orders=debug", "info;orders"),
            ("info orders=debug", "info orders"),
            ("info,a=debug,b\nc", "b\nc"),
        ] {
            assert_eq!(not_a_target(bad), Some(named), "{bad}");
        }
    }
}

//! Settings that are each allowed, and cannot be followed together.

use super::{Problem, Settings, Shown};

/// What is wrong with settings of the operator's that are each allowed.
#[derive(Debug, Default)]
#[non_exhaustive]
#[doc(hidden)]
pub struct Contradictions {
    /// Settings that contradict each other: whatever code says, they cannot be followed.
    pub certain: Vec<Problem>,
    /// Settings that contradict a default, or what code says that is known by now.
    pub likely: Vec<Problem>,
}

impl Contradictions {
    /// Finds the settings in these sections (`peer`, `peers.stock`) by which a check fails, which says the
    /// setting that it would refuse, its value, and what is allowed. What was found before is not told
    /// again.
    pub fn search(
        &mut self,
        said: &Settings,
        sections: &[&str],
        check: impl Fn(&Settings) -> Option<[String; 3]>,
    ) {
        let Some(error) = check(said) else { return };
        let [setting, value, allowed] = &error;
        let within = |path: &str, section: &&str| {
            path.strip_prefix(*section).is_some_and(|rest| rest.starts_with('.'))
        };
        let concerns = |path: String| sections.iter().any(|section| within(&path, section));
        let leaves = said.shown().into_iter();
        let leaves: Vec<Shown> =
            leaves.filter(|leaf| leaf.value.is_some() && concerns(leaf.path.to_string())).collect();
        let is_named = |leaf: &Shown| leaf.path.to_string().ends_with(&format!(".{setting}"));
        // One has a part in it if it is what the error names (though it be as by default), or if without
        // it this is not what is wrong.
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
            true => format!("is {value}; allowed: {allowed}"),
            false => format!("cannot be set like this: {setting} is {value}: set it to {allowed}"),
        };
        for other in parts.iter().filter(|other| other.path != first.path) {
            if let Some(value) = &other.value {
                problem += &format!(" ({}: {} is {value})", other.source, other.path);
            }
        }
        let problem = Problem::new(first.source.clone(), first.path.to_string(), problem);
        // What only switches a rule on says nothing that code could not make right.
        let values = parts.iter().filter(|leaf| !leaf.path.to_string().ends_with(".enabled"));
        let found = match values.count() {
            0 | 1 => &mut self.likely,
            _ => &mut self.certain,
        };
        if !found.contains(&problem) {
            found.push(problem);
        }
    }
}

//! The pod that the process runs in.

use super::{machine::Machine, value::Attribute};
use crate::env::Env;

/// Set by Kubernetes in every container.
const WITHIN: &str = "KUBERNETES_SERVICE_HOST";
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// For each attribute, the variables that the downward API is usually told to fill.
const VARIABLES: [(&str, &[&str]); 5] = [
    ("k8s.pod.name", &["K8S_POD_NAME", "POD_NAME"]),
    ("k8s.pod.uid", &["K8S_POD_UID", "POD_UID"]),
    ("k8s.namespace.name", &["K8S_NAMESPACE", "POD_NAMESPACE"]),
    ("k8s.node.name", &["K8S_NODE_NAME", "NODE_NAME"]),
    ("k8s.container.name", &["K8S_CONTAINER_NAME"]),
];

/// Describes the pod; nothing outside of Kubernetes.
pub(super) fn detect(env: &Env, machine: &Machine) -> Vec<Attribute> {
    if env.get(WITHIN).is_none() {
        return Vec::new();
    }
    let told = |names: &[&str]| names.iter().find_map(|name| env.get(name));
    let found = VARIABLES.into_iter().filter_map(|(key, names)| {
        let value = told(names).or_else(|| match key {
            // A pod's host name is its name unless its spec says otherwise.
            "k8s.pod.name" => env.get("HOSTNAME"),
            "k8s.namespace.name" => machine.read_name(NAMESPACE_FILE),
            _ => None,
        })?;
        Some((key.into(), value.into()))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(pairs: &[(&str, &str)], machine: &Machine) -> Vec<(String, String)> {
        let env = Env::from_pairs(pairs.iter().copied());
        let found = detect(&env, machine).into_iter();
        found.map(|(key, value)| (key.into_owned(), value.to_string())).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn outside_of_kubernetes_nothing_is_found() {
        let machine = Machine::fake([(NAMESPACE_FILE, "shop")]);
        assert_eq!(detected(&[("HOSTNAME", "box"), ("POD_NAME", "p")], &machine), []);
    }

    #[test]
    fn without_the_downward_api_the_pod_is_its_host_name() {
        let machine = Machine::fake([(NAMESPACE_FILE, "shop\n")]);
        let found = detected(&[(WITHIN, "10.0.0.1"), ("HOSTNAME", "orders-5d-x")], &machine);
        let wanted = owned(&[("k8s.pod.name", "orders-5d-x"), ("k8s.namespace.name", "shop")]);
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_downward_api_beats_what_is_guessed() {
        let machine = Machine::fake([(NAMESPACE_FILE, "file")]);
        let found = detected(
            &[
                (WITHIN, "10.0.0.1"),
                ("HOSTNAME", "host"),
                ("POD_NAME", "orders-1"),
                ("POD_NAMESPACE", "shop"),
                ("K8S_NODE_NAME", "node-2"),
                ("POD_UID", "u-1"),
            ],
            &machine,
        );
        let wanted = owned(&[
            ("k8s.pod.name", "orders-1"),
            ("k8s.pod.uid", "u-1"),
            ("k8s.namespace.name", "shop"),
            ("k8s.node.name", "node-2"),
        ]);
        assert_eq!(found, wanted);
    }
}

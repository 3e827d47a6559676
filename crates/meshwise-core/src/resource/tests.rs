use super::*;

fn resource(service: Service, pairs: &[(&str, &str)], machine: &Machine) -> Resource {
    let env = Env::from_pairs(pairs.iter().copied());
    let builder = Resource::builder(service).with_machine(machine.clone()).with_env(&env);
    builder.unwrap().build()
}

fn get(resource: &Resource, key: &str) -> Option<String> {
    resource.get(key).map(ToString::to_string)
}

#[test]
fn service_name_beats_attributes_beats_code_beats_what_is_found() {
    let machine = Machine::fake([("/proc/sys/kernel/hostname", "box-1\n")]);
    let pairs = [
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=attr,service.version=9.9,service.instance.id=i-1,host.name=said",
        ),
        ("OTEL_SERVICE_NAME", "env"),
    ];
    let code = Service::new("code", "1.0").with_namespace("shop").with_instance("i-0");
    let all = resource(code.clone(), &pairs, &machine);
    let service = all.service();
    assert_eq!((service.name(), service.version()), ("env", "9.9"));
    assert_eq!((service.namespace(), service.instance()), (Some("shop"), Some("i-1")));
    assert_eq!(get(&all, "service.name").as_deref(), Some("env"));
    assert_eq!(get(&all, "host.name").as_deref(), Some("said"));

    let attributes = resource(code.clone(), &pairs[..1], &machine);
    assert_eq!(attributes.service().name(), "attr");
    let code = resource(code, &[], &machine);
    assert_eq!((code.service().name(), code.service().version()), ("code", "1.0"));
    assert_eq!(get(&code, "host.name").as_deref(), Some("box-1"));
    let nothing = resource(Service::new("", ""), &[], &machine);
    assert!(nothing.service().name().starts_with("unknown_service:"), "{nothing:?}");
    assert_eq!(get(&nothing, "service.version"), None);
}

#[test]
fn code_s_own_attributes_beat_what_is_found_and_yield_to_what_is_said() {
    let env = Env::from_pairs([("OTEL_RESOURCE_ATTRIBUTES", "zone=b,service.version=")]);
    let resource = Resource::builder(Service::new("a", "1"))
        .with_attribute("zone", "a")
        .with_attribute("shard", 7)
        .with_env(&env)
        .unwrap()
        .build();
    assert_eq!(get(&resource, "zone").as_deref(), Some("b"));
    assert_eq!(resource.get("shard"), Some(&ResourceValue::Int(7)));
    assert_eq!(resource.service().version(), "1", "nothing said is nothing changed");
    assert_eq!(get(&resource, "telemetry.distro.name").as_deref(), Some("meshwise"));
}

#[test]
fn only_an_address_on_loopback_is_told_and_the_operator_s_stays() {
    let late = |said: &[(&str, &str)], served: &[&str]| {
        let env = Env::from_pairs(said.iter().copied());
        let builder = Resource::builder(Service::new("a", "1")).with_env(&env).unwrap();
        let resource = builder.build();
        served.iter().for_each(|address| resource.serve_ops_at(address.parse().unwrap()));
        resource.late_attribute().map(|(_, address)| address)
    };
    assert_eq!(late(&[], &[]), None);
    assert_eq!(late(&[], &["0.0.0.0:9464", "10.0.0.1:9464"]), None);
    let served = ["10.0.0.1:1", "[::1]:2", "127.0.0.1:3"];
    assert_eq!(late(&[], &served).as_deref(), Some("[::1]:2"), "the first stays");
    let said = ("OTEL_RESOURCE_ATTRIBUTES", "meshwise.ops.address=127.0.0.1:7");
    assert_eq!(late(&[said], &["127.0.0.1:3"]), None, "it is an attribute as all others are");
}

#[test]
fn attributes_are_percent_decoded() {
    let parsed = parse_attributes(" a = b%20c ,d%2Ce=%C3%A4=1,, empty=").unwrap();
    let pairs: Vec<_> = parsed.iter().map(|(key, value)| (&**key, value.to_string())).collect();
    let wanted = [("a", "b c"), ("d,e", "ä=1"), ("empty", "")];
    assert_eq!(pairs, wanted.map(|(k, v)| (k, v.to_owned())));
}

#[test]
fn a_malformed_list_is_ignored_as_a_whole_and_told() {
    for bad in ["a", "=1", "a=%ff", "a=1,b", "a=b,=c", "a=100%", "a=%zz", "a=%4", "%=1"] {
        let text = format!("service.version=9,{bad}");
        let env = Env::from_pairs([(OTEL_RESOURCE_ATTRIBUTES, text.as_str())]);
        let resource = Resource::builder(Service::new("a", "1")).with_env(&env).unwrap().build();
        assert_eq!(resource.service().version(), "1", "{bad}");
        let told = env.findings();
        assert_eq!((told.len(), told[0].variable()), (1, OTEL_RESOURCE_ATTRIBUTES), "{bad}");
        let strict =
            Env::from_pairs([(OTEL_RESOURCE_ATTRIBUTES, bad), ("MESHWISE_STRICT", "true")]);
        assert!(Resource::builder(Service::new("a", "1")).with_env(&strict).is_err(), "{bad}");
    }
}

#[test]
fn the_instance_is_this_process_unless_it_is_said() {
    let machine = Machine::fake([]);
    let one = resource(Service::new("a", "1"), &[], &machine);
    let two = Resource::from(Service::new("a", "1"));
    let uuid = one.service().instance().unwrap();
    assert_eq!(uuid.len(), 36);
    assert_eq!(uuid.as_bytes()[14], b'4', "{uuid}");
    assert!(matches!(uuid.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{uuid}");
    assert_eq!(Some(uuid), two.service().instance(), "made apart, and one process all the same");
    assert!(one.is_instance_random());
    let said = resource(Service::new("a", "1").with_instance("i-1"), &[], &machine);
    assert_eq!(get(&said, "service.instance.id").as_deref(), Some("i-1"));
    assert!(!said.is_instance_random());
}

proptest::proptest! {
    #[test]
    fn any_list_is_read_without_harm(text in "[a-c=,% 0-9]{0,40}|\\PC{0,40}") {
        if let Some(attributes) = parse_attributes(&text) {
            proptest::prop_assert!(attributes.iter().all(|(key, _)| !key.is_empty()));
        }
    }
}

/// Each log line carries them.
#[test]
fn a_name_that_is_none_is_told_and_not_taken() {
    let long = "a".repeat(256);
    let attribute = |key: &str| format!("{key}={long},team=x");
    let (name, version) = (attribute("service.name"), attribute("service.version"));
    for (variable, text) in [
        ("OTEL_SERVICE_NAME", long.as_str()),
        ("OTEL_SERVICE_NAME", "a\u{1}b"),
        ("OTEL_RESOURCE_ATTRIBUTES", &name),
        ("OTEL_RESOURCE_ATTRIBUTES", &version),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=%0a"),
    ] {
        let env = Env::from_pairs([(variable, text)]);
        let builder = Resource::builder(Service::new("orders", "1.0")).with_env(&env);
        let resource = builder.expect("it starts").build();
        let service = resource.service();
        assert_eq!((service.name(), service.version()), ("orders", "1.0"), "{variable}");
        let findings = env.findings();
        let [told] = findings.as_slice() else { panic!("{findings:?}") };
        assert_eq!(told.variable(), variable);
        let told = told.to_string();
        assert!(told.contains("at most 255") && told.len() < 300, "{told}");
    }
    for blank in ["", " ", "\t"] {
        let resource = Resource::builder(Service::new(blank, blank)).build();
        assert!(resource.service().name().starts_with("unknown_service"), "{blank:?}");
        assert_eq!(resource.service().version(), "");
    }
}

//! Among these is what the W3C working group's own tests check (`test/test_baggage.py` of
//! w3c/baggage).

use super::*;

/// Reads one value, as (key, value, properties).
fn parsed(text: &str) -> Vec<(String, String, String)> {
    let baggage = Baggage::from_header(text);
    baggage.iter().cloned().map(|entry| (entry.key, entry.value, entry.metadata)).collect()
}

#[track_caller]
fn check(text: &str, expected: &[(&str, &str, &str)]) {
    let found = parsed(text);
    let found: Vec<_> =
        found.iter().map(|(k, v, p)| (k.as_str(), v.as_str(), p.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn members_have_values_and_properties() {
    check("SomeKey=SomeValue", &[("SomeKey", "SomeValue", "")]);
    let two =
        [("SomeKey", "SomeValue", "SomeProp"), ("SomeKey2", "SomeValue2", "ValueProp=PropVal")];
    check("SomeKey=SomeValue;SomeProp,SomeKey2=SomeValue2;ValueProp=PropVal", &two);
    check(
        "SomeKey \t = \t SomeValue \t ; \t SomeProp \t , \t SomeKey2 \t = \t SomeValue2 \t ; \t \
         ValueProp \t = \t PropVal",
        &two,
    );
    check("SomeKey=SomeValue=equals", &[("SomeKey", "SomeValue=equals", "")]);
    check("k=v;p;p=1;p=2", &[("k", "v", "p;p=1;p=2")]);
    check(
        "k=v;ValueProp%20%09%20%3D%20%09%20PropVal",
        &[("k", "v", "ValueProp%20%09%20%3D%20%09%20PropVal")],
    );
    check("empty=", &[("empty", "", "")]);
    check("!#$%&'*+-.^_`|~09AZaz=1", &[("!#$%&'*+-.^_`|~09AZaz", "1", "")]);
}

#[test]
fn values_are_percent_encoded_utf_8() {
    check(
        "SomeKey=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29",
        &[("SomeKey", "\t \"';=asdf!@#$%^&*()", "")],
    );
    check(
        "userId=Am%C3%A9lie,serverNode=DF%2028",
        &[("userId", "Amélie", ""), ("serverNode", "DF 28", "")],
    );
    check("a=%ff%41%C3", &[("a", "\u{fffd}A\u{fffd}", "")]);
    // What is no escape stands for itself.
    check("a=100%,b=%4,c=%zz", &[("a", "100%", ""), ("b", "%4", ""), ("c", "%zz", "")]);
}

#[test]
fn what_other_libraries_misread_is_encoded() {
    // opentelemetry-python 1.45 turns `+` into a space.
    let mut baggage = Baggage::default();
    baggage.insert("k", "1+1=2 100% \"\\\",;\u{e9}\u{0}");
    assert_eq!(baggage.to_header(), "k=1%2B1%3D2%20100%25%20%22%5C%22%2C%3B%C3%A9%00");
    assert_eq!(Baggage::from_header(&baggage.to_header()), baggage);
    check("k=1+1=2", &[("k", "1+1=2", "")]);
}

#[test]
fn what_is_not_valid_is_skipped_and_nothing_else() {
    check(
        "a=1,,no value,=x,bad key=1,k\"=1,v=\"q\",u=\u{e9},s=a b,z=2",
        &[("a", "1", ""), ("z", "2", "")],
    );
    check("a=1;p q;\"x\"=1;=1;;ok=1,b=2", &[("a", "1", "ok=1"), ("b", "2", "")]);
    check("", &[]);
    check(",;=,", &[]);
    let mut bytes = b"a=1,b=\xff,c=3".to_vec();
    bytes.extend(b",d=\t4");
    let values = [HeaderValue::from_bytes(&bytes).expect("opaque bytes")];
    let baggage = Baggage::from_headers(&values, &HeaderLimits::default());
    assert_eq!(baggage.to_header(), "a=1,c=3,d=4");
}

#[test]
fn a_name_is_there_once_and_the_last_counts() {
    check("a=1,b=2,a=3", &[("b", "2", ""), ("a", "3", "")]);
    let mut baggage = Baggage::from_header("a=1;p,b=2");
    baggage.insert("a", "3");
    assert_eq!(baggage.to_header(), "b=2,a=3");
    assert_eq!(baggage.remove("b").map(|entry| entry.value), Some("2".to_owned()));
    assert_eq!(baggage.remove("b"), None);
    assert_eq!((baggage.len(), baggage.is_empty()), (1, false));
}

#[test]
fn several_headers_are_one_list() {
    let headers = headers(&[("baggage", "userId=alice"), ("baggage", "serverNode = DF%2028 ,x=1")]);
    let read = Propagators::new([Format::Baggage]).extract(&headers).baggage;
    assert_eq!(read.to_header(), "userId=alice,serverNode=DF%2028,x=1");
}

#[test]
fn limits_drop_members_whole_on_both_ways() {
    let sixty_four: Vec<String> = (0..64).map(|i| format!("key{i}=value")).collect();
    let list = sixty_four.join(",");
    assert_eq!(Baggage::from_header(&list).to_header(), list);
    assert_eq!(Baggage::from_header(&format!("{list},one=more")).to_header(), list);

    // 8192 bytes are allowed, commas among them; of 8193 the last member goes.
    let exact = format!("a={},b=12", "x".repeat(8_185));
    assert_eq!(exact.len(), 8192);
    assert_eq!(Baggage::from_header(&exact).to_header(), exact);
    let more = format!("{exact}3");
    assert_eq!(Baggage::from_header(&more).to_header(), exact[..8_187]);
    let mut held = Baggage::from_header(&exact);
    held.insert("b", "123");
    assert_eq!(held.to_header(), exact[..8_187]);

    let three = format!("a={},b=1,c=2", "x".repeat(8_182));
    let (one, more) = (format!("a={}", "x".repeat(8_190)), format!("a={}", "x".repeat(8_191)));
    for exact in [&three, &one] {
        assert_eq!(exact.len(), 8192);
        assert_eq!(Baggage::from_header(exact).to_header(), *exact);
    }
    assert!(Baggage::from_header(&more).is_empty());

    // What does not fit does not keep out what does.
    let large = format!("a=1,b={},c=3", "x".repeat(8_192));
    assert_eq!(Baggage::from_header(&large).to_header(), "a=1,c=3");
    let mut swollen = Baggage::default();
    swollen.insert("a", "\u{1F600}".repeat(1_500)); // 12 bytes each, once encoded
    swollen.insert("b", "x".repeat(1 << 20));
    swollen.insert_with_metadata("c", "3", "p");
    let cost = allocation_counter::measure(|| assert_eq!(swollen.to_header(), "c=3;p"));
    assert!(cost.bytes_max < 1 << 16, "what cannot fit is not encoded first: {cost:?}");
}

#[test]
fn limits_are_a_setting() {
    let limits = HeaderLimits::default().with_baggage_members(2).with_baggage_bytes(8);
    let propagators = Propagators::new([Format::Baggage, Format::Jaeger]).with_limits(limits);
    let read = |text| propagators.extract(&headers(&[("baggage", text)])).baggage.to_header();
    assert_eq!(read("a=1,b=2,c=3"), "a=1,b=2");
    assert_eq!(read("a=12345,b=2"), "a=12345");
    assert_eq!(read("a=1234567,b=2"), "b=2");

    // Both formats share them.
    let both = headers(&[("baggage", "a=1"), ("uberctx-b", "2"), ("uberctx-c", "3")]);
    assert_eq!(propagators.extract(&both).baggage.len(), 2);

    let mut out = HeaderMap::new();
    let all = Baggage::from_header("a=1,b=2,c=3");
    propagators.inject(&outgoing(&all, Sampling::Sampled), &mut out);
    assert_eq!(out["baggage"], "a=1,b=2");
    assert!(!out.contains_key("uberctx-c"));

    let none = propagators.with_limits(limits.with_baggage_bytes(0));
    assert!(none.extract(&both).baggage.is_empty());
}

#[test]
fn what_is_no_token_can_be_held_but_not_sent() {
    let mut baggage = Baggage::default();
    baggage.insert("no token", "1");
    baggage.insert("", "1");
    baggage.insert("\r\nx-evil", "1");
    baggage.insert_with_metadata("k", "\r\n,;", "a b, x=y, bad\"; ok=1 ;\r\nx: y");
    assert_eq!(baggage.to_header(), "k=%0D%0A%2C%3B;ok=1");
    assert_eq!(baggage.len(), 4);
}

#[test]
fn four_times_the_limit_is_looked_at() {
    let after =
        |members: usize| Baggage::from_header(&format!("{}k=v", "=,".repeat(members))).len();
    assert_eq!((after(10_000), after(16_380)), (1, 1));
    assert_eq!((after(16_384), after(32_768)), (0, 0));
}

#[test]
fn sixty_four_kib_cost_little() {
    let propagators = Propagators::new([Format::Baggage]);
    for (text, most) in [
        // As many members as are kept: key, value and a growing list.
        ("k=v,".repeat(16_384), 64 * 2 + 10),
        (format!("k={}", "v".repeat(65_534)), 0),
        ("=,;%".repeat(16_384), 0),
        (",".repeat(65_536), 0),
        (format!("{}k=v", " ".repeat(65_533)), 0),
    ] {
        let headers = headers(&[("baggage", text)]);
        let cost = allocation_counter::measure(|| drop(propagators.extract(&headers)));
        assert!(cost.count_total <= most, "{cost:?}");
    }
}

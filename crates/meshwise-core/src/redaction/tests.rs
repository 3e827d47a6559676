use super::*;

/// The length of the texts, in bytes.
const LONG: usize = 64 << 10;

/// What services log: words, numbers, times, a few pairs.
const PLAIN: &str = "The order 4711 of 3 items was placed by ada, as agreed; it ships on 2026-11-21. \
    GET /orders/4711?page=2 took 12.5 ms, status=200 user=ada at 2026-11-21T10:30:00Z\n";

/// What makes a scanner look again and again at the same bytes, if it does; each is repeated.
const HARD: &[&str] = &[
    "eyJ.",
    "eyJa.b ",
    "eyJ",
    "1 ",
    "-1",
    "1234 ",
    "4000 ",
    "4111 1111 1111 1111 ",
    "4111111111111111 ",
    "4111111111111112-",
    "41111111111111111111",
    "%204000",
    "\\n4000",
    "a=",
    "en=",
    "x1=",
    "a1:",
    "token=null ",
    "token:",
    "token=a ",
    "token=a,b=",
    "token=a;",
    "token: a b ",
    "token : a b ",
    "token=[",
    "token=[]",
    "token={\"",
    "token=\"",
    "token=\"a\"",
    "token='",
    "token=\\\"a\\\"",
    "token=\\",
    "token=Some(Some(Some(",
    "token=Secret {",
    "Some(",
    "pw=a ",
    ": pw",
    "pw: a b ",
    "pw=a,",
    "pw=a&",
    "pin=1 ",
    "key=[",
    "key=a ",
    "key=a&",
    "?key=a",
    "?key=a&",
    " token=5&",
    "token%=",
    "%6en=",
    "to%6ben=",
    "expected token: a ",
    "token=ü ",
    "a://b",
    "://:a@",
    "a://b:c",
    "a://u:p@h ",
    "a://b:c ",
    "://a@",
    "://@://@",
    "h://a:b@c=",
    "://a:@b",
    "h://a:b/c",
    "h://a:b/c@",
    "http://a:b?c@",
    "a:@",
    "@",
    "a://b:c\"@",
    "bearer a ",
    "bearer abcdefgh ",
    "bearer+",
    "bearer%20",
    "basic abcdefgh ",
    "basic QUFB",
    "basic ",
    "sk-",
    "sk-a ",
    "ghp_",
    "ghp_a ",
    "gh",
    "SG.",
    "ya29.",
    "AKIA ",
    "AKIAAAAAAAAA ",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY----- -----END ",
    "----",
    "--a ",
    "--[",
    "--\"",
    "--token ",
    "[\"--token\", ",
    "<token>",
    "<token>a",
    "a:token>",
    "a>",
    "\"token\",",
    "(\"token\",\"a\"),",
    "(\"token\",",
    "authorization: basic ",
    "authorization: bearer a ",
    "authorization: digest ",
    "cookie=a=b ",
    "cookie=a=b\n",
    "cookie: a ",
    "%20",
    "%",
    "\\n",
    "\\",
    "\"",
    "'",
    "=",
    "==",
    ":",
    "::",
    ",",
    "-",
    "_",
    ".",
    "a.b.c.d=",
    "a[b]=",
    "Token(\"",
    "Token(\"a\")",
    "(\"",
    "%B4111111111111",
    "%B4",
    "]=",
    "ü",
    "\n",
    " ",
    "x",
    "b ",
    "s ",
];

/// Repeats it whole, so that texts differ in length alone.
fn repeated(unit: &str, length: usize) -> String {
    unit.repeat(length.div_ceil(unit.len()))
}

fn looks(text: &str) -> u64 {
    Redaction::standard().counted(text).1
}

/// The cost is what is looked at, byte by byte: no clock, and the same on every machine.
#[test]
fn the_cost_grows_with_the_length_whatever_the_text() {
    let plain = looks(&repeated(PLAIN, LONG));
    assert!(plain <= 3 * LONG as u64, "{plain}");
    for unit in HARD {
        // In front of it, what has to be looked for further and further off.
        for around in [("", ""), ("a://b:", "@"), ("token=[", "]"), ("\"", "\""), ("eyJ", "")] {
            let text = |length| around.0.to_owned() + &repeated(unit, length) + around.1;
            let (half, whole) = (looks(&text(LONG / 2)), looks(&text(LONG)));
            assert!(2 * whole <= 5 * half + 200, "{unit:?} in {around:?}: {half}, {whole}");
            let most = if around == ("", "") { 6 } else { 7 };
            assert!(2 * whole <= most * plain, "{unit:?} in {around:?}: {whole}, plain {plain}");
        }
    }
}

/// Two of them by turns may be worse than each alone.
#[test]
fn the_cost_grows_with_the_length_of_mixed_texts() {
    const LENGTH: usize = 2 << 10;
    let plain = looks(&repeated(PLAIN, LENGTH));
    for first in HARD {
        for second in HARD {
            let unit = first.to_string() + second;
            let (half, whole) =
                (looks(&repeated(&unit, LENGTH / 2)), looks(&repeated(&unit, LENGTH)));
            assert!(2 * whole <= 5 * half + 500, "{unit:?}: {half}, {whole}");
            assert!(2 * whole <= 9 * plain, "{unit:?}: {whole}, plain {plain}");
            let split = repeated(first, LENGTH) + &repeated(second, LENGTH);
            assert!(looks(&split) <= 7 * plain, "{first:?}, then {second:?}");
        }
    }
}

#[test]
fn what_announces_a_secret_is_seen_in_short_texts_too() {
    // A short text is looked through only if `finds` says so: it must not say less than there is.
    for line in include_str!("../../tests/redaction/hidden.txt").lines() {
        let text = line.replace(['⟦', '⟧', '·'], "");
        let redaction = Redaction::standard();
        let (clean, _) = redaction.counted(&text);
        assert_eq!(redaction.text(&text), clean);
        assert!(clean == text || redaction.finds(&text), "{text}");
    }
}

#[test]
fn the_list_can_be_changed() {
    let own = Redaction::default().with_name("Iban").with_parameter("ref").with_prefix("acme_");
    assert!(own.hides("customer.IBAN") && own.hides("customer_iban") && !own.hides("xiban"));
    assert!(!Redaction::default().hides("iban"));
    assert_eq!(own.text("iban=DE89, x"), "iban=[redacted], x");
    assert_eq!(own.text("Account { iban: \"DE89\" }"), "Account { iban: \"[redacted]\" }");
    assert_eq!(own.query("iban=DE89&ref=1&x=2"), "iban=REDACTED&ref=REDACTED&x=2");
    assert_eq!(own.url("http://h/x?ref=1"), "http://h/x?ref=REDACTED");
    assert!(!own.hides("ref"));
    assert_eq!(own.text("ref=1"), "ref=1");
    assert_eq!(own.text("key acme_4f7c2a91d0, x"), "key [redacted], x");
    assert_eq!(own.text("acme_ltd"), "acme_ltd");
    // A prefix without any mark is found in short texts all the same.
    let own = Redaction::default().with_prefix("zq");
    assert_eq!(own.text("key zq4f7c2a91"), "key [redacted]");
    for prefix in ["", "x", "_x", "ü", "x y"] {
        assert_eq!(Redaction::default().with_prefix(prefix).text("x y_abcdefgh"), "x y_abcdefgh");
    }

    let less = Redaction::default().without_name("token");
    assert!(!less.hides("token") && !less.hides("user.token") && less.hides("access_token"));
    assert_eq!(less.query("token=1&access_token=2"), "token=1&access_token=REDACTED");
    assert!(less.with_name("token").hides("token"));
    let numbered = Redaction::default().with_name("line2");
    assert!(numbered.hides("line2") && !numbered.hides("line1"));
    assert_eq!(numbered.text("line2=x line1=x"), "line2=[redacted] line1=x");

    let off = Redaction::off();
    assert!(!off.hides("password") && !off.hides_number(4_111_111_111_111_111));
    assert_eq!(off.text("password=x Bearer abcdefgh12345"), "password=x Bearer abcdefgh12345");
    assert!(off.with_name("password").hides("db_password"));
}

#[test]
fn numbers_are_cards_by_the_same_rules() {
    let redaction = Redaction::default();
    for card in [4_111_111_111_111_111, 378_282_246_310_005, 4_222_222_222_222] {
        assert!(redaction.hides_number(card), "{card}");
    }
    for number in [
        0,
        7,
        u64::MAX,
        4_111_111_111_111_112,
        1_795_236_660_123,
        1_795_236_660_123_000_017,
        9_999_999_999_999_995,
        41_111_111_111_111_111,
    ] {
        assert!(!redaction.hides_number(number), "{number}");
    }
}

#[test]
fn urls_hide_users_too() {
    let redaction = Redaction::default();
    for (url, clean) in [
        (
            "http://me:pw@auth:80/check?sig=1&a=b",
            "http://REDACTED:REDACTED@auth:80/check?sig=REDACTED&a=b",
        ),
        ("http://me@host/", "http://REDACTED@host/"),
        (
            "http://REDACTED:REDACTED@host/?sig=REDACTED",
            "http://REDACTED:REDACTED@host/?sig=REDACTED",
        ),
        ("/x?a=1#access_token=1", "/x?a=1#access_token=REDACTED"),
        ("/x;jsessionid=1?a=1", "/x;jsessionid=REDACTED"),
        ("/cards/4111111111111111?a=1", "/cards/REDACTED?a=1"),
        ("/x?a=b=token=c", "/x?a=b=token=c"),
        ("/x?token=a;b,c \"d", "/x?token=REDACTED"),
        ("/x?next=http://u:p@h/&a=1", "/x?next=http://REDACTED:REDACTED@h/&a=1"),
        ("/x?page=2", "/x?page=2"),
    ] {
        if url.contains("jsessionid") {
            assert!(!redaction.url(url).contains("=1?"), "{}", redaction.url(url));
            continue;
        }
        assert_eq!(redaction.url(url), clean);
    }
}

#[test]
fn the_rest_of_a_text_is_hidden_only_if_it_has_little_but_secrets() {
    let redaction = Redaction::default();
    for shown in [
        r#"{"key":"env","value":"prod"},"#,
        r#"{"id":7,"code":4,"sid":1,"at":"2026-11-21","password":null,"name":"ada lovelace"},"#,
    ] {
        let text = shown.repeat(1_000);
        assert_eq!(redaction.text(&text), text);
    }
    let tokens = r#"{"user":"ada","token":"0123456789abcdef"},"#.repeat(1_000);
    assert_eq!(redaction.text(&tokens).matches(r#""user":"ada","#).count(), 1_000);
    let cards = "4111 1111 1111 1111 ".repeat(1_000);
    let clean = redaction.text(&cards);
    assert!(clean.len() < 2_000 + 11 * 1_000 && !clean.contains("4111"), "{clean}");
    let dense = redaction.text(&"pw=a ".repeat(1_000)).into_owned();
    assert!(dense.ends_with("[redacted]") && !dense.contains("pw=a"), "{dense}");
}

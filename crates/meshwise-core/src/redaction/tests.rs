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
    "%3D",
    "token%3D",
    "token%3Da",
    "%26key%3Da",
    "%22token%22%3A%22",
    "%22token%22%3A%22a%22",
    "&quot;",
    "token&quot;:&quot;",
    "token&quot;:&quot;a&quot;",
    ";:",
    "\\u0022",
    "token\\u0022:\\u0022",
    "\\\\\\\"",
    "token\\\\\\\":\\\\\\\"a",
    "token\\\":\\\"a\\\\\\\"",
    "token   =",
    "\t=",
    "token\t= a",
    "password 'a",
    "password '",
    "y '",
    "identified by '",
    "</token>",
    ">a</token>",
    "<token a=\"b\">",
    "\"name\":\"token\",",
    "\"name\":\"token\",\"value\":",
    "\"key\": \"token\", \"value\": \"a\",",
    "name=\"token\",value='a',",
    "token=|",
    "token=a|",
    "token=a|b=",
    "4111\u{a0}",
    "\u{2011}4111",
    "http:\\/\\/",
    ":\\/\\/a:b",
    "\\/",
    "%3A%2F%2Fa%3A",
    "%3A%2F%2F",
    "%3A%2F%2Fa%3Ab%40",
    "%40",
    "/token: ",
    "/token = a",
    "a/token: b/",
    "token=(a ",
    "token=(",
    "token=***",
    "•",
    "token=•",
    "api key: a ",
    "api ",
    " key",
    "secret key=",
    "\"key=a\"",
    "'code=a&",
    "\"code=a&b=",
    "token=ab(c",
    "token=A(",
    "token=b'",
    "glsa_a ",
    "ATATT",
    "docker://a:b@sha256:",
];

/// Repeats it whole, so that texts differ in length alone.
fn repeated(unit: &str, length: usize) -> String {
    unit.repeat(length.div_ceil(unit.len()))
}

/// The cost is added up look by look, in units of instructions: no clock, and the same on every machine.
fn cost(text: &str) -> u64 {
    Redaction::standard().cost(text)
}

/// Tells that a text costs no more than its limit, but for what the last look has begun.
fn is_limited(text: &str) -> bool {
    Redaction::standard().counted(text).1 <= limit(text) + 12 * text.len() as u64
}

#[test]
fn the_cost_grows_with_the_length_whatever_the_text() {
    let plain = cost(&repeated(PLAIN, LONG));
    assert!(10 * limit(&repeated(PLAIN, LONG)) <= 24 * plain, "{plain} is what plain text costs");
    for unit in HARD {
        // In front of it, what has to be looked for further and further off.
        for around in [("", ""), ("a://b:", "@"), ("token=[", "]"), ("\"", "\""), ("eyJ", "")] {
            let text = |length| around.0.to_owned() + &repeated(unit, length) + around.1;
            let (half, whole) = (cost(&text(LONG / 2)), cost(&text(LONG)));
            assert!(2 * whole <= 5 * half + 1_000, "{unit:?} in {around:?}: {half}, {whole}");
            assert!(is_limited(&text(LONG)), "{unit:?} in {around:?}");
        }
    }
}

/// Two of them by turns may be worse than each alone.
#[test]
fn the_cost_grows_with_the_length_of_mixed_texts() {
    const LENGTH: usize = 2 << 10;
    // All pairs take a minute where nothing is optimized: a third of them then.
    let step = if cfg!(debug_assertions) { 3 } else { 1 };
    for (i, first) in HARD.iter().enumerate() {
        for second in HARD.iter().skip(i % step).step_by(step) {
            let unit = first.to_string() + second;
            let (half, whole) =
                (cost(&repeated(&unit, LENGTH / 2)), cost(&repeated(&unit, LENGTH)));
            assert!(2 * whole <= 5 * half + 2_500, "{unit:?}: {half}, {whole}");
            // Pairs of quotes stay pairs.
            let (firsts, seconds) = (first.repeat(2), second.repeat(2));
            let split = |length| repeated(&firsts, length) + &repeated(&seconds, length);
            let (half, whole) = (cost(&split(LENGTH / 4)), cost(&split(LENGTH / 2)));
            assert!(2 * whole <= 5 * half + 2_500, "{first:?}, then {second:?}: {half}, {whole}");
        }
    }
}

/// What is last looked at may be the rest of the text, whatever has been spent by then.
#[test]
fn a_text_that_has_cost_too_much_is_looked_at_no_more() {
    for dense in [": pw", "pw=a ", "key=a&", "token=a;"] {
        for tail in ["token=\"", "token=[", "-----BEGIN PRIVATE KEY-----", "eyJ", "a://b:", "'"] {
            for unit in HARD {
                for part in [1, 4, 7] {
                    let head = repeated(dense, part * LONG / 128);
                    let text = head + tail + &repeated(unit, LONG / 16);
                    assert!(is_limited(&text), "{dense:?} for {part}, then {tail:?}, {unit:?}");
                }
            }
        }
    }
}

#[test]
fn where_the_rest_is_hidden_no_card_is_left_in_part() {
    let redaction = Redaction::standard();
    for blanks in 0..200 {
        let text = "pw=a ".repeat(300) + &" ".repeat(blanks) + &"4111 1111 1111 1111 ".repeat(400);
        let clean = redaction.text(&text);
        assert!(!clean.contains("4111"), "{blanks}: {}", &clean[clean.len().saturating_sub(99)..]);
    }
    let text = "4111 1111 1111 1111\n4111-1111-1111-1111,".repeat(4_000);
    let clean = redaction.text(&text);
    assert!(!clean.contains("4111") && clean.ends_with("[redacted]"), "{}", clean.len());
}

#[test]
fn what_announces_a_secret_is_seen_in_short_texts_too() {
    // A short text is looked through only if `finds` says so: it must not say less than there is.
    for line in include_str!("../../tests/redaction/hidden.txt").lines() {
        let text = line.replace(['⟦', '⟧', '·'], "");
        let redaction = Redaction::standard();
        let clean = Scanner::new(&redaction.rules, Mode::Text, &text, u64::MAX).run().0;
        assert_eq!(redaction.text(&text), clean);
        assert!(clean == text || redaction.finds(&text), "{text}");
    }
}

#[test]
fn what_is_plain_has_nothing_to_hide_or_to_escape() {
    let redaction = Redaction::standard();
    for text in ["", "GET", "/orders/{id}", "success", "bench", "jan", "AJAX", "a b, c; d"] {
        assert!(redaction.is_plain(text), "{text}");
    }
    let long = "a".repeat(129);
    let odd = ["a\nb", "\"", "\\", "\u{7f}", "\u{85}", "\u{2028}", "pw=x", &long];
    for text in odd {
        assert!(!redaction.is_plain(text), "{text}");
    }
    for line in include_str!("../../tests/redaction/hidden.txt").lines() {
        let text = line.replace(['⟦', '⟧', '·'], "");
        assert!(!redaction.is_plain(&text) || redaction.text(&text) == text, "{text}");
    }
    assert!(Redaction::off().is_plain("pw=x") && !Redaction::off().is_plain("\""));
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
    // The densest that services write: none of it is cut off.
    for dense in [
        "user=ada&password=hunter2&token=abcdef0123456789&csrf=9f8e7d6c&next=%2Forders%2F7&",
        "Cookie: session=0123456789abcdef; theme=dark; _ga=GA1.2.1234567890.1700000000\n",
        "postgres://user:pass@db-1.internal:5432/orders?sslmode=require,",
        "DB_PASSWORD=hunter2 AWS_SECRET_ACCESS_KEY=abcd1234 AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE ",
        "--user ada --password hunter2 --host db-1 --port 5432 --token abcdef ",
        "<user><name>ada</name><password>hunter2</password><id>7</id></user>",
        r#"{\"user\":\"ada\",\"password\":\"hunter2\",\"n\":1},"#,
        "[2026-11-21 10:30:00.123] INFO served in 12 ms: token=abc id=7 code=200 sid=5\n",
        "2026-11-21T10:30:00.123456Z 2026-11-21T10:30:00.123456Z ",
    ] {
        let text = repeated(dense, LONG);
        assert!(redaction.counted(&text).1 <= limit(&text), "{dense}");
    }
    let tokens = r#"{"user":"ada","token":"0123456789abcdef"},"#.repeat(1_000);
    assert_eq!(redaction.text(&tokens).matches(r#""user":"ada","#).count(), 1_000);
    let cards = "4111 1111 1111 1111 ".repeat(1_000);
    let clean = redaction.text(&cards);
    assert!(clean.len() < 2_000 + 11 * 1_000 && !clean.contains("4111"), "{clean}");
    let dense = redaction.text(&"pw=a ".repeat(1_000)).into_owned();
    assert!(dense.ends_with("[redacted]") && !dense.contains("pw=a"), "{dense}");
    let short = redaction.text(&"pw=a ".repeat(70)).into_owned();
    assert_eq!(short, "pw=[redacted] ".repeat(70));
}

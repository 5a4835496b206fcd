//! The reader against a naive recogniser of RFC 8259, against `serde_json::Value`, and against sonic-rs.

use proptest::prelude::*;

use super::*;

mod naive;

fn tree(pointers: &[&str]) -> Tree {
    let mut tree = Tree::default();
    for (slot, pointer) in pointers.iter().enumerate() {
        assert_eq!(tree.place(&pointer.parse().unwrap()), slot);
    }
    tree
}

fn verdict(value: &[u8]) -> Result<(), DeadReason> {
    read(value, &tree(&["/card"]), &mut [Slot::Absent])
}

fn found<'a>(value: &'a str, pointers: &[&str]) -> Vec<Slot<'a>> {
    let mut slots = vec![Slot::Absent; pointers.len()];
    read(value.as_bytes(), &tree(pointers), &mut slots).unwrap();
    slots
}

/// The reader, the recogniser and both libraries say the same of `value`, with the exceptions named here.
fn check_against_referees(value: &[u8]) {
    let shown = String::from_utf8_lossy(value);
    let verdict = verdict(value);
    let accepted = matches!(verdict, Ok(()) | Err(DeadReason::TooDeep));
    // Exception 1: half a surrogate pair in a name on the way to a mapped value.
    let lower = shown.to_ascii_lowercase();
    let surrogates = ["\\ud8", "\\ud9", "\\uda", "\\udb", "\\udc", "\\udd", "\\ude", "\\udf"];
    let surrogate = surrogates.iter().any(|escape| lower.contains(escape));
    if !surrogate {
        assert_eq!(accepted, naive::is_json(value), "{shown}: {verdict:?}");
    }
    match serde_json::from_slice::<serde_json::Value>(value) {
        Ok(_) => assert!(accepted, "{shown}: {verdict:?}"),
        // Exception 2: what a tree of values cannot hold, and RFC 8259 allows.
        Err(error) if accepted => {
            let error = error.to_string();
            let beyond = ["number out of range", "surrogate", "end of hex escape", "recursion limit"];
            assert!(beyond.iter().any(|word| error.contains(word)), "{shown}: {error}");
        }
        Err(_) => {}
    }
    // Exception 3: sonic-rs looks neither at UTF-8 nor at the digits of an escape in what it skips.
    if std::str::from_utf8(value).is_ok() && !shown.contains("\\u") && opening_brackets(&shown) < 64 {
        let mut reader = sonic_rs::Deserializer::from_slice(value);
        let sonic: Result<IgnoredAny, _> = reader.deserialize();
        let sonic = sonic.is_ok() && reader.end().is_ok();
        assert_eq!(accepted, sonic, "sonic-rs: {shown}");
    }
}

const VALID: &[&str] = &[
    "{}",
    "[]",
    "0",
    "-0",
    "\"\"",
    "null",
    "true",
    "false",
    " \t\n\r{ \"a\" : 1 } \n",
    "1e5",
    "1E+5",
    "-1.5e-7",
    "0.0",
    "0e0",
    "1e999",
    "123456789012345678901234567890",
    "\"\\u00e9\\ud83d\\ude00\\/\\\"\\\\\\b\\f\\n\\r\\t\"",
    "{\"a\":{\"b\":[1,{\"c\":[]}]}}",
    "{\"\":\"\"}",
    "{\"a\":1,\"a\":2}",
    "\"\u{7f}\"",
    "\"日本\u{10FFFF}\"",
    "[\"\\ud800\"]",
    "{\"x\":\"\\udc00\\ud800\"}",
    "[[[[[[[[]]]]]]]]",
];

const INVALID: &[&str] = &[
    " ",
    "{",
    "}",
    "[",
    "]",
    "{]",
    "[}",
    "nul",
    "nulll",
    "True",
    "NaN",
    "Infinity",
    "-",
    "+1",
    "01",
    "-01",
    "1.",
    ".5",
    "1.e5",
    "1e",
    "1e+",
    "0x10",
    "1_000",
    "'a'",
    "\"",
    "\"\\",
    "\"\\u\"",
    "\"\\u12\"",
    "\"\\uZZZZ\"",
    "\"\\x\"",
    "\"\\u+123\"",
    "\"\u{0}\"",
    "\"\n\"",
    "\"\t\"",
    "\"\u{1f}\"",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{\"a\" 1}",
    "{1:1}",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"a\":1 \"b\":2}",
    "{}{}",
    "{} x",
    "1 2",
    "[]]",
    "{\"a\":1}}",
    "\u{feff}{}",
    "/**/{}",
    "{\"a\":1}//",
    "\u{a0}{}",
    "{\"a\":\"\\uD8\"}",
    "{}\u{0}",
    "{\"a\":1.}",
    "{\"a\":01}",
    "[1,,2]",
    "{\"a\"::1}",
    "{\"a\":\"b\nc\"}",
    "{\"\\uZZZZ\":1}",
    "{\"a\":\"\\u12G4\"}",
    "[1e]",
    "[-]",
    "{\"a\":tru}",
    "{\"a\":nul}",
];

const NOT_UTF8: &[&[u8]] = &[
    b"\"\xff\"",
    b"{\"a\":\"\xc3\"}",
    b"{\"\xed\xa0\x80\":1}",
    b"\"\xc0\xaf\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\xff\xfe{\x00}\x00",
    b"{}\x80",
];

#[test]
fn what_is_json_is_accepted_and_what_is_not_is_refused() {
    for text in VALID {
        assert_eq!(verdict(text.as_bytes()), Ok(()), "{text}");
        check_against_referees(text.as_bytes());
    }
    for text in INVALID {
        let reason = verdict(text.as_bytes()).unwrap_err();
        assert!(matches!(reason, DeadReason::NotJson | DeadReason::Truncated), "{text}: {reason:?}");
        check_against_referees(text.as_bytes());
        // The same mistake below the top, in a value that nobody reads and in one on the way to the card.
        for name in ["x", "card"] {
            let below = format!("{{\"{name}\":{text}}}");
            check_against_referees(below.as_bytes());
        }
    }
    for bytes in NOT_UTF8 {
        assert_eq!(verdict(bytes), Err(DeadReason::NotUtf8), "{bytes:?}");
    }
    assert_eq!(verdict(b""), Err(DeadReason::Empty));
}

#[test]
fn sonic_rs_passes_escapes_that_are_none() {
    // The reason against it, kept here so that a version that has mended it is noticed.
    let text = "{\"a\":\"\\uZZZZ\"}";
    assert!(sonic_rs::from_str::<IgnoredAny>(text).is_ok());
    assert!(!naive::is_json(text.as_bytes()));
}

#[test]
fn a_record_cut_anywhere_is_truncated() {
    let record = r#"{"id":"t","card":"4242","m":{"a":[1,-2.5e+3,"\u00e9"],"n":null},"ok":true}"#;
    for end in 1..record.len() {
        let cut = &record[..end];
        // A number without the digits it announces is no number, whether they were lost or never there.
        let unfinished = cut.contains("[1,-") && cut.ends_with(['-', '.', 'e', '+']);
        let want: &[_] = if unfinished {
            &[Err(DeadReason::NotJson), Err(DeadReason::Truncated)]
        } else {
            &[Err(DeadReason::Truncated)]
        };
        assert!(want.contains(&verdict(cut.as_bytes())), "{cut}");
    }
    assert_eq!(verdict(b"{\"a\":\"\xc3"), Err(DeadReason::NotUtf8));
}

#[test]
fn sizes_and_depths_are_bounded_where_they_say() {
    let padded = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2));
    assert_eq!(verdict(padded(RECORD_BYTES_MAX).as_bytes()), Ok(()));
    assert_eq!(verdict(padded(RECORD_BYTES_MAX + 1).as_bytes()), Err(DeadReason::TooLarge));

    let nested = |name: &str, depth: usize| {
        format!("{{\"{name}\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
    };
    for name in ["x", "card"] {
        assert_eq!(verdict(nested(name, DEPTH_MAX).as_bytes()), Ok(()));
        assert_eq!(verdict(nested(name, DEPTH_MAX + 1).as_bytes()), Err(DeadReason::TooDeep));
        assert_eq!(verdict(nested(name, RECORD_BYTES_MAX / 2 - 8).as_bytes()), Err(DeadReason::TooDeep));
    }
    // Many brackets side by side, or in a text, are no depth.
    assert_eq!(verdict(format!("[{}1]", "{},".repeat(500)).as_bytes()), Ok(()));
    assert_eq!(verdict(format!("\"\\\"{}\"", "[{".repeat(500)).as_bytes()), Ok(()));
    assert_eq!(verdict("[".repeat(RECORD_BYTES_MAX).as_bytes()), Err(DeadReason::Truncated));
}

#[test]
fn values_are_found_where_pointers_say() {
    use Slot::*;
    let record = r#"{ "a" : {"b":[10, {"c":" x "} ,"z"], "~/":true}, "n":null, "":-1.50, "é":"é" }"#;
    for (pointer, want) in [
        ("/a/b/0", Found("10")),
        ("/a/b/1/c", Found("\" x \"")),
        ("/a/b/1", Found(r#"{"c":" x "}"#)),
        ("/a/b/2", Found("\"z\"")),
        ("/a/b/3", Absent),
        ("/a/b/-", Absent),
        ("/a/b/00", Absent),
        ("/a/b/b", Absent),
        ("/a/~0~1", Found("true")),
        ("/n", Found("null")),
        ("/n/x", Absent),
        ("/", Found("-1.50")),
        ("/é", Found("\"é\"")),
        ("/x", Absent),
        ("/a/b/2/0", Absent),
    ] {
        assert!(found(record, &[pointer]) == [want], "{pointer}");
    }
    assert!(found(r#"[{"card":1},{"card":2}]"#, &["/1/card"]) == [Found("2")]);
    assert!(found(r#"{"\u0063ard":1}"#, &["/card"]) == [Found("1")]);
    assert!(found("7", &["/card"]) == [Absent]);
    assert!(found(r#"{"m":{"id":1}}"#, &["/m", "/m/id"]) == [Found(r#"{"id":1}"#), Found("1")]);
}

#[test]
fn a_path_that_occurs_twice_is_nobodys_guess() {
    use Slot::*;
    for (record, want) in [
        (r#"{"m":{"a":1,"b":2,"a":3}}"#, [Twice, Found("2")]),
        (r#"{"m":{"a":1,"b":2},"m":{}}"#, [Twice, Twice]),
        (r#"{"m":{"a":1,"b":2},"m":null}"#, [Twice, Twice]),
        (r#"{"m":1,"m":{"a":1},"m":{"b":1}}"#, [Twice, Twice]),
        (r#"{"m":{"a":1,"\u0061":1}}"#, [Twice, Absent]),
        (r#"{"m":{"a":{"x":1,"x":2},"x":1},"y":1,"y":2}"#, [Found(r#"{"x":1,"x":2}"#), Absent]),
        (r#"{"m":{"a":1,"\ud800":2,"b":3}}"#, [Broken, Broken]),
    ] {
        assert!(found(record, &["/m/a", "/m/b"]) == want, "{record}");
    }
    assert_eq!(verdict(br#"{"\ud800":1}"#), Err(DeadReason::NotJson));
}

#[test]
fn escapes_mean_what_serde_json_says() {
    for inside in ["", "plain", r#"\"\\\/\b\f\n\r\t"#, r"\u0041\u00e9\uD83D\uDE00x", r"a\u0000b", r"\uFFFF"] {
        let mut out = String::new();
        unescape(inside, &mut out).unwrap();
        assert_eq!(out, serde_json::from_str::<String>(&format!("\"{inside}\"")).unwrap(), "{inside}");
    }
    for inside in [r"\ud800", r"\ud800x", r"\ud800\n", r"\ud800\u0041", r"\udc00", r"\ud800\ud800"] {
        assert_eq!(unescape(inside, &mut String::new()), Err(BadEscape), "{inside}");
        assert!(serde_json::from_str::<String>(&format!("\"{inside}\"")).is_err(), "{inside}");
    }
}

/// JSON texts with white space, escapes, odd numbers and nesting; names often the mapped one.
fn any_json() -> impl Strategy<Value = String> {
    let white = "[ \t\n\r]{0,2}";
    let string =
        r#"([a-zé日 ]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}){0,6}"#.prop_map(|inside| format!("\"{inside}\""));
    let number = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,4})?";
    let leaf = prop_oneof![string.clone(), number, "(null|true|false)"];
    let name = prop_oneof![Just("\"card\"".to_owned()), string];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        let element = (white, inner, white).prop_map(|(before, value, after)| before + &value + &after);
        let member = (white, name.clone(), white, element.clone());
        let member = member.prop_map(|(before, name, after, value)| format!("{before}{name}{after}:{value}"));
        prop_oneof![
            proptest::collection::vec(element, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(member, 0..5).prop_map(|items| format!("{{{}}}", items.join(","))),
        ]
    })
}

/// JSON objects as the quick way takes them: no escapes, no white space but spaces.
fn usual_json() -> impl Strategy<Value = String> {
    let white = " {0,1}";
    let string = r#"([a-zé日 {}\[\],:]){0,20}"#.prop_map(|inside| format!("\"{inside}\""));
    let number = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,4})?";
    let name = prop_oneof!["\"card\"", "\"m\"", "\"id\"", string.clone()];
    let leaf = prop_oneof![string, number, "(null|true|false)"];
    let value = leaf.prop_recursive(4, 30, 5, {
        let name = name.clone();
        move |inner| {
            let element = (white, inner, white).prop_map(|(before, value, after)| before + &value + &after);
            let member = (white, name.clone(), white, element.clone());
            let member =
                member.prop_map(|(before, name, after, value)| format!("{before}{name}{after}:{value}"));
            prop_oneof![
                proptest::collection::vec(element, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                proptest::collection::vec(member, 0..4).prop_map(|items| format!("{{{}}}", items.join(","))),
            ]
        }
    });
    let members = proptest::collection::vec((name, white, value), 0..6);
    members.prop_map(|members| {
        let members: Vec<String> =
            members.into_iter().map(|(name, white, value)| format!("{name}:{white}{value}{white}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// Where the quick way answers, the other way answers the same, and the naive recogniser sees JSON.
fn check_quick(text: &str) -> bool {
    let tree = tree(&["/card", "/m/id", "/m"]);
    let mut quick_slots = [Slot::Absent; 3];
    let answered = quick::read(text.as_bytes(), &tree.root, &mut quick_slots).is_some();
    if answered {
        let mut slots = [Slot::Absent; 3];
        assert_eq!(read_any(text, &tree, &mut slots), Ok(()), "{text}");
        assert!(slots == quick_slots, "{text}");
        assert!(naive::is_json(text.as_bytes()), "{text}");
    }
    answered
}

#[test]
fn the_usual_record_takes_the_quick_way() {
    let record = r#"{"id":"tx-1","at":"2018-01-01T00:00:00Z","card":"30324474562566","amount":-105.42e1,"m":{"id":7,"x":[1,{}]},"b":false}"#;
    assert!(check_quick(record));
    assert!(check_quick(&record.replace(',', " , ").replace(':', " : ")));
    for unusual in [r#"{"a":"\n"}"#, "{\n}", r#"{"card":1,"card":2}"#, r#"{"m":[1]}"#, "[]", "7"] {
        assert!(!check_quick(unusual), "{unusual}");
    }
    // Deeper than it follows is not too deep.
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(20), "]".repeat(20));
    assert!(!check_quick(&deep));
    assert_eq!(verdict(deep.as_bytes()), Ok(()));
}

/// The blocks of the quick way begin and end anywhere in a record.
#[test]
fn a_record_of_any_length_takes_the_quick_way() {
    for padding in 0..150 {
        let text = format!(r#"{{"id":"{}","card":"4242424242424242","é":[1,"ü"]}}"#, "x".repeat(padding));
        assert!(check_quick(&text), "{text}");
        for at in 0..text.len() {
            for byte in *b"\"\\\x1f\x80" {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = byte;
                check_against_referees(&bytes);
            }
        }
    }
}

/// Bytes that matter to the grammar, so that a change of one is seldom without effect.
fn grammar_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        prop::sample::select(b"{}[]\",:\\u/0123456789.eE+- \t\n\x00\x1f\x7f\x80\xc3\xff".to_vec()),
        any::<u8>()
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn generated_json_is_read_as_the_referees_read_it(text in any_json()) {
        prop_assert!(naive::is_json(text.as_bytes()));
        check_against_referees(text.as_bytes());
    }

    #[test]
    fn json_with_one_byte_changed_is_read_as_the_referees_read_it(
        text in any_json(), place in any::<prop::sample::Index>(), byte in grammar_byte(), how in 0..4,
    ) {
        let mut bytes = text.into_bytes();
        let at = place.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => { bytes.remove(at); }
            _ => bytes.truncate(at),
        }
        check_against_referees(&bytes);
    }

    #[test]
    fn the_quick_way_answers_what_the_other_answers(
        text in usual_json(), place in any::<prop::sample::Index>(), byte in grammar_byte(), how in 0..4,
    ) {
        let mapped_twice = [r#""card""#, r#""m""#, r#""id""#].iter().any(|name| text.matches(name).count() > 1);
        let array = text.contains(r#""m":["#) || text.contains(r#""m": ["#);
        prop_assert!(check_quick(&text) || mapped_twice || array, "{}", text);
        check_against_referees(text.as_bytes());
        let mut bytes = text.into_bytes();
        let at = place.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => { bytes.remove(at); }
            _ => bytes.truncate(at),
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            check_quick(text);
        }
        check_against_referees(&bytes);
    }

    #[test]
    fn any_bytes_are_read_as_the_referees_read_them(bytes in proptest::collection::vec(grammar_byte(), 0..12)) {
        check_against_referees(&bytes);
    }

    #[test]
    fn what_is_found_is_what_serde_json_finds(text in any_json()) {
        let mut slots = [Slot::Absent];
        let Ok(whole) = serde_json::from_str::<serde_json::Value>(&text) else { return Ok(()) };
        read(text.as_bytes(), &tree(&["/card"]), &mut slots).unwrap();
        match slots[0] {
            Slot::Found(raw) => prop_assert_eq!(Some(&serde_json::from_str(raw).unwrap()), whole.get("card")),
            Slot::Absent => prop_assert_eq!(whole.get("card"), None),
            Slot::Twice => prop_assert!(text.matches("card").count() > 1),
            Slot::Broken => prop_assert!(false, "{}", text),
        }
    }
}

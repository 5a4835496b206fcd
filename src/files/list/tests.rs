use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::exposure::fingerprint::{Fingerprinter, Key, Keyring};

const GOOD: &str = "4242424242424242";
const OTHER: &str = "378282246310005";
/// Its check digit is wrong.
const MISPRINT: &str = "4242424242424241";

fn input(name: &str, text: &str) -> Input {
    Input::of(name.to_owned(), 0, Cursor::new(text.as_bytes().to_vec())).unwrap()
}

fn column(text: &str) -> Option<Column> {
    Some(text.parse().unwrap())
}

fn numbers() -> ListSpec {
    ListSpec::new(CardKind::Number)
}

/// Every entry as a line of text: where, the card, its descriptions; or where and why not.
fn read(name: &str, text: &str, spec: &ListSpec) -> Result<Vec<String>, ListError> {
    let mut reader = ListReader::new(input(name, text), spec)?;
    let mut read = Vec::new();
    for item in reader.by_ref() {
        read.push(match item? {
            ListItem::Rejected(rejection) => format!("{} rejected: {}", rejection.line, rejection.reason),
            ListItem::Entry(entry) => {
                let card = match &entry.card {
                    ListCard::Number(number) => String::from_utf8(number.digits().to_vec()).unwrap(),
                    ListCard::Token(token) => String::from_utf8(token.expose().to_vec()).unwrap(),
                    ListCard::Fingerprint(fingerprint, key) => format!("{key}:{fingerprint}"),
                };
                let mut text = format!("{} {card}", entry.line);
                entry.expiry.iter().for_each(|expiry| text += &format!(" {expiry}"));
                entry.tier.iter().for_each(|tier| text += &format!(" {tier}"));
                entry.references.iter().for_each(|(name, value)| text += &format!(" {name}={value}"));
                text
            }
        });
    }
    Ok(read)
}

fn check(name: &str, text: &str, spec: &ListSpec, want: &[&str]) {
    assert_eq!(read(name, text, spec).unwrap(), want, "{name}: {text}");
}

fn refused(name: &str, text: &str, spec: &ListSpec, want: &[&str]) {
    let error = read(name, text, spec).unwrap_err();
    let shown = format!("{error} {error:?}");
    want.iter().for_each(|part| assert!(shown.contains(part), "{shown}"));
    assert!(shown.contains(name) && !shown.contains("4242"), "{shown}");
}

#[test]
fn the_format_is_known_by_the_name_or_the_first_line() {
    let want_2 = [&*format!("2 {GOOD}")];
    let want_1 = [&*format!("1 {GOOD}")];
    check("list.csv", &format!("whatever\n{GOOD}\n"), &numbers(), &want_2);
    check("list.CSV.gz", &format!("whatever\n{GOOD}\n"), &numbers(), &want_2);
    check("list", &format!("pan\n{GOOD}"), &numbers(), &want_2);
    check("list", &format!("\u{feff}\"Card Number\"\r\n\"{GOOD}\"\r\n"), &numbers(), &want_2);
    check("list", &format!("id;card_number;name\n7;{GOOD};x\n"), &numbers(), &want_2);
    check("list", &format!("id\tPAN\n7\t{GOOD}\n"), &numbers(), &want_2);
    check("list", "4242 4242-4242 4242\n", &numbers(), &want_1);
    check("list.txt", &format!("\n\n{GOOD}\n"), &numbers(), &[&*format!("3 {GOOD}")]);
    check("list", &format!("{{\"pan\":\"{GOOD}\"}}"), &numbers(), &want_1);
    check("list.ndjson", &format!("{{\"card\":{GOOD}}}"), &numbers(), &want_1);
    check("list", "", &numbers(), &[]);
    let spec = ListSpec { format: Some(ListFormat::Lines), ..numbers() };
    check("list.csv", GOOD, &spec, &want_1);
}

#[test]
fn columns_are_found_by_name_number_or_custom() {
    let text = format!("a,b,Exp,Acct\n1,{GOOD},09/27,A-1\n,{OTHER},,\n");
    let by = |card: &str| ListSpec {
        card: column(card),
        expiry: column("exp"),
        tier: column("1"),
        references: vec![("account".to_owned(), column("acct").unwrap())],
        ..numbers()
    };
    let want = [format!("2 {GOOD} 2027-09 1 account=A-1"), format!("3 {OTHER}")];
    for card in ["b", "B", "2"] {
        check("list.csv", &text, &by(card), &[&want[0], &want[1]]);
    }
    refused("list.csv", &text, &by("c"), &["no column c", "a, b, Exp, Acct"]);
    refused("list.csv", &text, &by("5"), &["no column 5"]);
    refused("list.csv", &text, &numbers(), &["not clear which column", "a, b, Exp, Acct"]);
    refused("list.csv", "pan,card\n1,2", &numbers(), &["not clear which column"]);
    refused("list.csv", "", &numbers(), &["empty"]);
}

#[test]
fn a_list_without_a_header_loses_no_card() {
    let text = format!("7,{GOOD}\n8,{OTHER}\n");
    let by = |card: &str| ListSpec { card: column(card), ..numbers() };
    check("list.csv", &text, &by("2"), &[&*format!("1 {GOOD}"), &*format!("2 {OTHER}")]);
    check(
        "list.csv",
        &format!("{GOOD}\n{OTHER}"),
        &numbers(),
        &[&*format!("1 {GOOD}"), &*format!("2 {OTHER}")],
    );
    refused("list.csv", &text, &by("pan"), &["begins with a card", "number instead"]);
    refused("list.csv", &text, &numbers(), &["(number 2)"]);
}

#[test]
fn what_is_no_card_is_rejected_with_line_and_reason() {
    let lines = [
        GOOD,
        "4242x4242",
        "1234567",
        "12345678901234567890",
        "4.24242E+15",
        "4,24242e+15",
        "-",
        "424242******4242",
    ];
    let want = [
        &*format!("1 {GOOD}"),
        "2 rejected: not made of digits",
        "3 rejected: not 8 to 19 digits long",
        "4 rejected: not 8 to 19 digits long",
        "5 rejected: rounded by a spreadsheet: its last digits are lost; export the column as text",
        "6 rejected: rounded by a spreadsheet: its last digits are lost; export the column as text",
        "7 rejected: empty",
        "8 rejected: not made of digits",
    ];
    let spec = ListSpec { format: Some(ListFormat::Lines), ..numbers() };
    check("list", &lines.join("\n"), &spec, &want);
    check(
        "list.csv",
        &format!("id,pan\n1\n2,\n3,{GOOD}\n"),
        &numbers(),
        &["2 rejected: empty", "3 rejected: empty", &*format!("4 {GOOD}")],
    );
    let long = format!("{GOOD}\n{}\n{OTHER}", "9".repeat(RECORD_BYTES_MAX + 1));
    check(
        "list",
        &long,
        &numbers(),
        &[&*format!("1 {GOOD}"), "2 rejected: longer than 65536 bytes", &*format!("3 {OTHER}")],
    );
}

#[test]
fn json_lines_have_a_defined_result_each() {
    for (line, want) in [
        (format!("{{\"pan\":\"{GOOD}\",\"x\":[1,{{}}]}}"), GOOD),
        (format!("{{\"pan\":{GOOD}}}"), GOOD),
        ("{\"pan\":\"\\u0034242424242424242\"}".to_owned(), GOOD),
        ("{\"pan\":null}".to_owned(), "rejected: empty"),
        ("{\"other\":1}".to_owned(), "rejected: empty"),
        (
            "{\"pan\":4.24242e15}".to_owned(),
            "rejected: rounded by a spreadsheet: its last digits are lost; export the column as text",
        ),
        (format!("{{\"pan\":[{GOOD}]}}"), "rejected: a field that is neither text nor a number"),
        ("{\"pan\":true}".to_owned(), "rejected: a field that is neither text nor a number"),
        (format!("{{\"pan\":{GOOD},\"pan\":{OTHER}}}"), "rejected: a field that is there twice"),
        (format!("{{\"pan\":{GOOD}"), "rejected: not a JSON object"),
        (format!("[{GOOD}]"), "rejected: not a JSON object"),
        (GOOD.to_owned(), "rejected: not a JSON object"),
        (format!("{{\"pan\":\"{GOOD}\",\"key\":{{}},\"check\":[]}}"), GOOD),
    ] {
        check("list.jsonl", &line, &numbers(), &[&*format!("1 {want}")]);
    }
    let spec = ListSpec {
        card: column("nr"),
        expiry: column("exp"),
        references: vec![("account".to_owned(), column("acct").unwrap())],
        ..numbers()
    };
    let line = format!("{{\"acct\":17,\"exp\":\"2027-09\",\"nr\":\"{GOOD}\"}}\n\n{{\"nr\":\"{OTHER}\"}}");
    check("list.jsonl", &line, &spec, &[&*format!("1 {GOOD} 2027-09 account=17"), &*format!("3 {OTHER}")]);
}

#[test]
fn what_only_describes_a_card_never_costs_it_its_place() {
    let spec = ListSpec {
        card: column("pan"),
        expiry: column("exp"),
        tier: column("tier"),
        references: vec![("a".to_owned(), column("ref").unwrap())],
        ..numbers()
    };
    let long = "x".repeat(129);
    let text = format!(
        "pan,exp,tier,ref\n{MISPRINT},,,\n{GOOD},0927,,\n{GOOD},,{long},\n{GOOD},,,{long}\n\
         {GOOD},,nr {GOOD},no. 4242-4242/4242 4242!\n"
    );
    check(
        "list.csv",
        &text,
        &spec,
        &[
            &*format!("2 {MISPRINT}"),
            &*format!("3 {GOOD}"),
            &*format!("4 {GOOD}"),
            &*format!("5 {GOOD}"),
            &*format!("6 {GOOD}"),
        ],
    );
    let mut reader = ListReader::new(input("list.csv", &text), &spec).unwrap();
    assert_eq!(reader.by_ref().count(), 5);
    let counts = ListCounts { accepted: 5, rejected: 0, luhn: 1, expiry: 1, description: 2, withheld: 1 };
    assert_eq!(reader.counts(), counts);
}

#[test]
fn tokens_are_taken_as_they_are_but_for_spaces_around_them() {
    let spec = ListSpec::new(CardKind::Token);
    let long = "t".repeat(129);
    check(
        "list",
        &format!("tok_A\n 4242 4242 \n{long}\n"),
        &spec,
        &["1 tok_A", "2 4242 4242", "3 rejected: a token longer than 128 bytes"],
    );
    check("list", "token\ntok_A\n", &spec, &["2 tok_A"]);
}

#[test]
fn a_fingerprint_needs_its_key() {
    let print = "ab".repeat(32);
    let spec = ListSpec::new(CardKind::Fingerprint);
    check(
        "list.csv",
        &format!("fingerprint,key\n{print},k1\n{print},\n{print},K 1\nabc,k1\n"),
        &spec,
        &[
            &*format!("2 k1:{print}"),
            "3 rejected: no key id beside the fingerprint",
            "4 rejected: no key id beside the fingerprint",
            "5 rejected: not a fingerprint of 64 hexadecimal digits",
        ],
    );
    let spec = ListSpec { key: "k7".parse().ok(), ..spec };
    check("list", &print, &spec, &[&*format!("1 k7:{print}")]);
    let line = format!("{{\"fingerprint\":\"{print}\",\"key\":\"k2\"}}");
    check("list", &line, &spec, &[&*format!("1 k2:{print}")]);
}

#[test]
fn two_keys_of_one_name_in_one_list_are_an_error() {
    let (print, a, b) = ("ab".repeat(32), "cd".repeat(32), "ef".repeat(32));
    let spec = ListSpec::new(CardKind::Fingerprint);
    let list = |second: &str| format!("fingerprint,key,check\n{print},k1,{a}\n{print},k1,{second}\n");
    refused("list.csv", &list(&b), &spec, &["line 3", "key k1"]);
    assert_eq!(
        read("list.csv", &list("xyz"), &spec).unwrap()[1],
        "3 rejected: not a check value of 64 hexadecimal digits"
    );
    let mut reader = ListReader::new(input("list.csv", &list(&a)), &spec).unwrap();
    assert_eq!(reader.by_ref().filter(Result::is_ok).count(), 2);
    assert_eq!(reader.checks(), &BTreeMap::from([("k1".parse().unwrap(), a.parse().unwrap())]));
}

#[test]
fn a_list_of_fingerprints_survives_writing_and_reading() {
    let key = Key::new("k1".parse().unwrap(), Secret::new(vec![7; 32])).unwrap();
    let keyring = Keyring::new(key, Vec::new()).unwrap();
    let fingerprinter = Fingerprinter::new(&keyring);
    let spec = ListSpec {
        card: column("pan"),
        expiry: column("exp"),
        references: vec![("account".to_owned(), column("acct").unwrap())],
        ..numbers()
    };
    let text = format!("pan,exp,acct\n{GOOD},09/27,\"A, \"\"1\"\"\"\n{OTHER},,\n");
    let mut reader = ListReader::new(input("list.csv", &text), &spec).unwrap();
    let mut out = Vec::new();
    let mut writer = FingerprintWriter::new("out.csv", &mut out, reader.columns()).unwrap();
    let (id, check_value) = (keyring.primary().id(), keyring.primary().check_value());
    for item in reader.by_ref() {
        let ListItem::Entry(entry) = item.unwrap() else { panic!("rejected") };
        let ListCard::Number(number) = &entry.card else { panic!("no number") };
        writer.write(&fingerprinter.of_number(0, number), id, check_value, &entry).unwrap();
    }
    writer.finish().unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("fingerprint,key,check,expiry,ref.account\n"), "{out}");
    assert_eq!(out.matches(&check_value.to_string()).count(), 1, "{out}");
    assert!(!out.contains("4242424242") && !out.contains("3782822463"), "{out}");
    let print = |text: &str| fingerprinter.of_number(0, &CardNumber::parse(text.as_bytes()).unwrap());
    check(
        "out.csv",
        &out,
        &ListSpec::new(CardKind::Fingerprint),
        &[&*format!("2 k1:{} 2027-09 account=A, \"1\"", print(GOOD)), &*format!("3 k1:{}", print(OTHER))],
    );
}

#[test]
fn a_quote_that_is_never_closed_stops_the_list_where_it_begins() {
    let text = format!("id,pan\n1,{GOOD}\n2,\"{OTHER}\n{}", format!("3,{GOOD}\n").repeat(9_000));
    refused("list.csv", &text, &numbers(), &["begins in line 3", "a quote may be missing"]);
}

#[test]
fn utf_16_is_told_and_a_reader_ends_after_an_error() {
    let bytes = [0xff, 0xfe, b'p', 0];
    let utf16 = Input::of("list.csv".to_owned(), 0, Cursor::new(bytes)).unwrap();
    let error = ListReader::new(utf16, &numbers()).unwrap_err();
    assert!(error.to_string().contains("UTF-16"), "{error}");
    let text = format!("id,pan\n2,\"{}", "x".repeat(2 * RECORD_BYTES_MAX));
    let mut reader = ListReader::new(input("list.csv", &text), &numbers()).unwrap();
    assert!(reader.next().unwrap().is_err());
    assert!(reader.next().is_none());
}

#[test]
fn nothing_that_can_be_shown_shows_a_card() {
    let mut reader =
        ListReader::new(input("list.csv", &format!("pan\n{GOOD}\n4242x\n")), &numbers()).unwrap();
    for item in reader.by_ref() {
        let shown = format!("{item:?}");
        assert!(!shown.contains("4242"), "{shown}");
    }
    assert!(!format!("{reader:?}").contains("4242"));
}

proptest! {
    /// The `csv` crate writes and quotes; we read. Separators, quotes, line ends and empty lines may be anywhere.
    #[test]
    fn csv_cells_survive_quoting(
        rows in prop::collection::vec(("[0-9]{8,19}", "[a-z,;\"\n\r ]{0,12}", any::<bool>()), 1..30), crlf in any::<bool>(),
    ) {
        let mut text = String::new();
        let mut want = Vec::new();
        let mut line = 2;
        for (number, note, gap) in &rows {
            let quoted = note.replace('"', "\"\"");
            let end = if crlf { "\r\n" } else { "\n" };
            let row = format!("\"{quoted}\",{number}{end}");
            want.push(format!("{line} {number}{}", match note.trim_ascii() {
                "" => String::new(),
                note => format!(" note={note}"),
            }));
            line += row.matches('\n').count();
            text += &row;
            if *gap {
                text += end;
                line += 1;
            }
        }
        let spec = ListSpec { references: vec![("note".to_owned(), column("note").unwrap())], ..numbers() };
        prop_assert_eq!(read("list.csv", &format!("note,pan\n{text}"), &spec).unwrap(), want);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), csv in any::<bool>()) {
        let format = if csv { ListFormat::Csv } else { ListFormat::Jsonl };
        for kind in [CardKind::Number, CardKind::Token, CardKind::Fingerprint] {
            let input = Input::of("list".to_owned(), 0, Cursor::new(bytes.clone()));
            let Ok(input) = input else { continue };
            if let Ok(reader) = ListReader::new(input, &ListSpec { format: Some(format), ..ListSpec::new(kind) }) {
                prop_assert!(reader.count() <= bytes.len() + 1);
            }
        }
    }

    #[test]
    fn a_number_is_found_in_a_text_whatever_separates_it(
        number in "[0-9]{8,19}", gaps in prop::collection::vec("[a-z /.-]{0,3}", 19), before in "[0-9a-z]{0,5}", after in "[0-9a-z]{0,5}",
    ) {
        let spread: String = number.chars().zip(&gaps).map(|(digit, gap)| format!("{digit}{gap}")).collect();
        let card = CardNumber::parse(number.as_bytes()).unwrap();
        let text = format!("{before}{spread}{after}");
        prop_assert!(sniff::contains_number(text.as_bytes(), &card));
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let without = &number[1..];
        prop_assert_eq!(sniff::contains_number(without.as_bytes(), &card), without.contains(&number));
        prop_assert!(digits.contains(&number));
    }
}

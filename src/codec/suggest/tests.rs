use super::*;

fn card(n: usize) -> String {
    let digits = format!("99991700000{n:04}");
    let sum: u32 = (digits.bytes().rev().enumerate())
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

fn proposal(records: impl IntoIterator<Item = String>) -> String {
    let mut suggester = Suggester::default();
    records.into_iter().for_each(|record| suggester.take(Some(record.as_bytes())));
    suggester.proposal("a test")
}

#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|one| one.starts_with(line)), "{line}\n{text}");
    }
}

#[test]
fn an_iso_8583_house_is_recognised_by_its_field_numbers() {
    let text = proposal((0..50).map(|n| {
        format!(
            r#"{{"MTI":"0100","DE002":"{}","DE003":"000000","DE004":"0000000129{n:02}","DE012":"201806051430{n:02}",
            "DE018":"5499","DE022":"812","DE037":"rrn{n:09}","DE039":"00","DE042":"SHOP{n:04}","DE049":"392"}}"#,
            card(n)
        )
    }));
    has(
        &text,
        &[
            "field = \"/DE002\"",
            "kind = \"number\"",
            "id = \"/DE037\"",
            "at = { field = \"/DE012\", format = \"%Y%m%d%H%M%S\", timezone = \"UTC\" }",
            "kind = { field = [\"/MTI\", \"/DE003\"], preset = \"iso8583\" }",
            "outcome = { field = \"/DE039\", preset = \"iso8583\" }",
            "response_code = \"/DE039\"",
            "amount = { field = \"/DE004\", unit = \"minor\" }",
            "currency = \"/DE049\"",
            "merchant_id = \"/DE042\"",
            "merchant_mcc = \"/DE018\"",
            "channel = { field = \"/DE022\", preset = \"iso8583\" }",
            "credential = { field = \"/DE022\", preset = \"iso8583\" }",
            "cvv = \"\"",
        ],
    );
    assert!(text.lines().any(|line| line.starts_with("at =") && line.contains("CHECK")), "{text}");
}

#[test]
fn nested_events_with_words_of_the_house_get_a_table() {
    let text = proposal((0..40).map(|n| {
        let status = if n % 5 == 0 { "REFUSED" } else { "Authorised" };
        format!(
            r#"{{"eventId":"ev-{n}","created":15281772{n:02}000,"payment":{{"card":{{"number":"{}"}},"status":"{status}",
            "amount":{{"value":"{n}.95","currency":"EUR"}},"channel":"web"}},"shop":{{"country":"NLD"}},"accountId":"A{n}"}}"#,
            card(n)
        )
    }));
    has(
        &text,
        &[
            "field = \"/payment/card/number\"",
            "id = \"/eventId\"",
            "at = { field = \"/created\", format = \"epoch_ms\" }",
            "outcome = { field = \"/payment/status\", values = { \"Authorised\" = \"approved\", \"REFUSED\" = \"declined\" } }",
            "amount = \"/payment/amount/value\"",
            "currency = \"/payment/amount/currency\"",
            "channel = { field = \"/payment/channel\", values = { \"web\" = \"ecom\" } }",
            "merchant_country = \"/shop/country\"",
            "account = \"/accountId\"",
        ],
    );
}

#[test]
fn a_proposal_says_no_value_and_no_name_that_is_data() {
    let mut records: Vec<String> = (0..30)
        .map(|n| {
            let number = card(n);
            format!(
                r#"{{"pan":"{number}","{number}":{{"x":1}},"name":"Yamada Taro","merchantName":"Cafe Secret","token":"tok_{n}",
                "status":"weird {number}","by_card":[{{"pan":"{number}"}}]}}"#
            )
        })
        .collect();
    records.push("not json".to_owned());
    records.push("[1,\"x\"]".to_owned());
    let text = proposal(records);
    has(&text, &["field = \"/pan\"", "token = \"/token\"", "merchant_name = \"/merchantName\""]);
    for value in ["9999170", "Yamada", "Secret", "tok_", "weird"] {
        assert!(!text.contains(value), "{value}\n{text}");
    }
}

#[test]
fn a_house_without_numbers_is_watched_by_token() {
    let text =
        proposal((0..30).map(|n| format!(r#"{{"payment":{{"card_token":"tok_{n:x}"}},"order_id":"o{n}"}}"#)));
    has(&text, &["field = \"/payment/card_token\"", "kind = \"token\"", "id = \"/order_id\""]);
    let numbered = (0..30).map(|n| {
        format!(
            r#"{{"card_token":"tok_{n:x}","order":{{"number":"o-{n}"}},"source":{{"entry":"{}"}}}}"#,
            ["manual", "applepay"][n % 2]
        )
    });
    has(
        &proposal(numbered),
        &[
            "id = \"/order/number\"",
            "credential = { field = \"/source/entry\", values = { \"applepay\" = \"wallet_token\", \"manual\" = \"keyed\" } }",
        ],
    );
    let nothing = proposal((0..3).map(|n| format!(r#"{{"temperature":{n}}}"#)));
    assert!(nothing.contains("CHECK: nothing looks like a card"), "{nothing}");
}

#[test]
fn every_proposal_is_toml() {
    let records = [
        r#"{"a\"b":{"\u0007x":"4242424242424242","/~":"JPY"},"amount":"1.5","é":"2018-06-05T14:30:00Z"}"#,
        r#"{"created":"2018-06-05T14:30:00"}"#,
    ];
    let text = proposal(records.iter().cycle().take(20).map(|record| (*record).to_owned()));
    toml::from_str::<toml::Table>(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
}

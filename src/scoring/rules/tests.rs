//! Claims about rules: what is refused and where, and that a condition means what CEL says it means.

use proptest::prelude::*;

use super::*;
use crate::domain::money::Currency;

/// A file of one rule.
fn one(when: &str) -> String {
    format!("[[rule]]\nname = \"r\"\nwhen = '''{when}'''\nscore = 10\ntext = \"t\"\n")
}

fn errors(text: &str) -> Vec<String> {
    match RuleSet::parse(text, "rules.toml") {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(|error| format!("{}: {}", error.line, error.message)).collect(),
    }
}

fn signals(values: &[(Signal, Value<'static>)]) -> Signals<'static> {
    let mut signals = Signals::unknown("JPY".parse().ok());
    for (signal, value) in values {
        signals.set(*signal, *value);
    }
    signals
}

fn value(when: &str, signals: &Signals<'_>) -> Option<bool> {
    let condition = check::condition(when).unwrap();
    match condition.node.value(signals) {
        Value::Bool(value) => Some(value),
        Value::Unknown => None,
        other => panic!("{when} is {other:?}"),
    }
}

#[test]
fn the_shipped_rules_read() {
    let rules = RuleSet::parse(DEFAULT_RULES, "config/rules.toml").unwrap();
    assert!(rules.rules().len() >= 10);
    assert!(rules.rules().iter().all(|rule| rule.score() <= rules.threshold()));
    let yen = rules.amounts().of("JPY".parse().unwrap()).unwrap();
    assert_eq!((yen.small, yen.large), (500, 50_000));
    let dinar = rules.amounts().of("KWD".parse().unwrap()).unwrap();
    assert_eq!((dinar.small, dinar.large), (1_500, 150_000));
}

#[test]
fn a_condition_that_means_nothing_is_refused_with_what_to_write_instead() {
    for (when, want) in [
        ("new_merchnt", "no signal is called `new_merchnt`: did you mean `new_merchant`?"),
        ("uses_1h", "is a whole number: a rule needs true or false"),
        ("uses_1h > \"a\"", "orders a whole number and a text: only numbers have an order"),
        ("uses_1h == true", "compares a whole number with true or false"),
        ("country > \"JP\"", "orders a text and a text: only numbers have an order"),
        (
            "channel == \"ecomm\"",
            "channel is never \"ecomm\": did you mean `ecom`? (it is ecom, pos, moto, atm)",
        ),
        ("\"pos\" == cvv", "cvv is never \"pos\" (it is match, no_match, absent)"),
        ("cvv in [\"match\", \"none\"]", "cvv is never \"none\" (it is match, no_match, absent)"),
        ("cvv != \"unknown\"", "unknown is no word to compare with: write `!known(cvv)`"),
        ("uses_1h / uses_24h > 1", "a divisor must be a literal other than zero"),
        ("uses_1h % 0 == 1", "a divisor must be a literal other than zero"),
        ("uses_1h * 2.0 > 1.0", "write a decimal literal as `2.0`"),
        ("uses_1h > 1u", "write whole numbers without `u`"),
        ("mcc == null", "no signal is null: write `!known(x)`"),
        ("uses_1h && new_mcc", "is a whole number: true or false is needed here"),
        ("new_mcc ? 1 : \"a\"", "is either a whole number or a text: both must be the same"),
        ("mcc in country", "`in` needs a list of literals on its right"),
        ("uses_1h in [1, \"a\"]", "compares a whole number with a text"),
        ("uses_1h in [uses_24h]", "a list holds literals only"),
        ("[1, 2] == [1, 2]", "a list may only stand on the right of `in`"),
        ("merchant.mcc == \"1\"", "`.mcc`: signals have no fields"),
        ("size(mcc) > 3", "`size` is not taken in rules"),
        ("mcc.matches(\"5.*\")", "`matches` is not taken in rules"),
        ("mcc.startWith(\"5\")", "`startWith` is not taken in rules: did you mean `startsWith`?"),
        ("uses_1h.startsWith(\"5\")", "is a whole number: startsWith asks about a text"),
        ("mcc.startsWith(country)", "startsWith takes one text in quotes"),
        ("known(1)", "known() takes the name of one signal"),
        ("[mcc].exists(m, m == \"1\")", "no signal is a list"),
        ("uses_1h >", "not CEL: "),
        ("", "not CEL: "),
    ] {
        let errors = errors(&one(when));
        assert!(
            errors.iter().any(|error| error.starts_with("3: when: ") && error.contains(want)),
            "{when}: {errors:?}"
        );
    }
}

#[test]
fn every_mistake_is_named_at_once_with_its_line() {
    let text = r#"# a comment
threshold = 0
limit = 3
[[rule]]
name = "One"
when = 'new_mcc'
score = 0
text = ""
[[rule]]
name = "two"
wen = 'new_mcc'
when = '''
new_mcc &&
nothing
'''
score = 101
[[rule]]
name = "two"
when = "new_mcc"
score = "many"
text = "{uses} and {"
[amounts.JPX]
small = 1
large = 2
[amounts.JPY]
small = "1.5"
large = 2
[amounts.USD]
small = 5
"#;
    assert_eq!(
        errors(text),
        [
            "2: threshold is a whole number from 1 to 1000",
            "3: `limit` is not a key of a rules file",
            "5: a rule's name is 1 to 64 of a-z, 0-9, - and _",
            "7: score is a whole number from 1 to 100",
            "8: text is empty: an alert must say in words why it was raised",
            "9: a rule without `text`",
            "11: `wen` is not a key of a rule: did you mean `when`?",
            "14: when: no signal is called `nothing`",
            "16: score is a whole number from 1 to 100",
            "18: `two` is already the rule on line 10",
            "20: score is a whole number from 1 to 100",
            "21: text: no signal is called `uses`: did you mean `uses_10m`?",
            "21: text: a lone `{`: write `{{` for the brace itself",
            "22: `JPX` is not an ISO 4217 currency code",
            "26: small is an amount of JPY in major units, more than nothing",
            "28: USD without `large`",
        ]
    );
    assert_eq!(errors("[[rule]\n"), ["1: unclosed array table, expected `]`"]);
    assert_eq!(errors(""), ["1: no `[[rule]]`: nothing would ever be alerted"]);
    assert_eq!(errors("rule = 1"), ["1: write rules as `[[rule]]`"]);
    let error = RuleSet::parse("rule = 1", "my.toml").unwrap_err().remove(0);
    assert_eq!(error.to_string(), "my.toml:1: write rules as `[[rule]]`");
}

#[test]
fn an_unknown_signal_makes_a_rule_false_and_is_counted() {
    let known = signals(&[(Signal::NewMcc, true.into()), (Signal::Uses1h, 3_i64.into())]);
    for (when, want) in [
        ("new_country", None),
        ("!new_country", None),
        ("new_country || new_mcc", Some(true)),
        ("new_country || !new_mcc", None),
        ("new_country && new_mcc", None),
        ("new_country && !new_mcc", Some(false)),
        ("amount_ratio > 2.0", None),
        ("amount_ratio != 2.0", None),
        ("cvv in [\"match\"]", None),
        ("mcc.startsWith(\"5\")", None),
        ("new_country ? true : true", None),
        ("new_mcc ? uses_1h == 3 : new_country", Some(true)),
        ("known(new_country)", Some(false)),
        ("known(uses_1h) && uses_1h == 3", Some(true)),
        ("uses_1h + 9223372036854775807 > 0", None),
        ("-uses_1h < 0 && uses_1h % 2 == 1 && uses_1h / 2 == 1 && uses_1h - 1 == 2", Some(true)),
    ] {
        assert_eq!(value(when, &known), want, "{when}");
    }
    let rules = RuleSet::parse(&one("new_country && new_mcc && amount_ratio > 2.0"), "r").unwrap();
    let assessment = rules.assess(&known);
    let unknown: Vec<&str> = assessment.unknown.iter().map(Signal::name).collect();
    assert_eq!((assessment.score, unknown), (0, vec!["amount_ratio", "new_country"]));
}

#[test]
fn reasons_are_in_words_with_money_in_major_units_and_the_heaviest_first() {
    let text = r#"
        rule = [
          { name = "light", when = "uses_1h >= 2", score = 5, text = "{uses_1h|use|uses}, {{sic}}" },
          { name = "heavy", when = "amount_large", score = 40, text = "{amount} is {amount_ratio} times, {cvv}" },
          { name = "never", when = "uses_1h > 9", score = 90, text = "no" },
        ]"#;
    let rules = RuleSet::parse(text, "r").unwrap();
    let mut signals = signals(&[
        (Signal::Uses1h, 2_i64.into()),
        (Signal::AmountLarge, true.into()),
        (Signal::Amount, 12_980_i64.into()),
        (Signal::AmountRatio, 6.5.into()),
    ]);
    let assessment = rules.assess(&signals);
    assert_eq!(assessment.score, 45);
    let reasons = rules.reasons(&assessment, &signals);
    let texts: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
    assert_eq!(texts, ["12980 JPY is 6.5 times, unknown", "2 uses, {sic}"]);
    let facts = serde_json::to_value(&reasons[0].facts).unwrap();
    let want = serde_json::json!({"amount": 12980, "amount_large": true, "amount_ratio": 6.5, "cvv": null});
    assert_eq!(facts, want);
    signals.currency = Some("USD".parse::<Currency>().unwrap());
    assert!(rules.reasons(&assessment, &signals)[0].text.starts_with("129.80 USD"));
}

#[test]
fn a_text_has_words_for_one_and_for_several() {
    let with = |text: &str| one("uses_1h >= 0").replace("\"t\"", &format!("\"{text}\""));
    let filled = |uses: i64| {
        let rules = RuleSet::parse(&with("{uses_1h|use|uses} in an hour"), "r").unwrap();
        let signals = signals(&[(Signal::Uses1h, uses.into())]);
        rules.reasons(&rules.assess(&signals), &signals)[0].text.clone()
    };
    assert_eq!([0, 1, 2].map(filled), ["0 uses in an hour", "1 use in an hour", "2 uses in an hour"]);
    for (text, want) in [
        ("{uses_1h|use}", "write `{uses_1h|one|several}`, the words for one and for several"),
        ("{uses_1h|a|b|c}", "write `{uses_1h|one|several}`"),
        ("{amount_ratio|time|times}", "`amount_ratio` is no whole number: write `{amount_ratio}`"),
        ("{use|a|b}", "no signal is called `use`"),
    ] {
        assert!(
            errors(&with(text)).iter().any(|error| error.contains(want)),
            "{text}: {:?}",
            errors(&with(text))
        );
    }
}

#[test]
fn the_digest_is_of_what_decides_and_nothing_else() {
    let digest = |text: &str| RuleSet::parse(text, "r").unwrap().digest().to_owned();
    let base = one("new_mcc");
    assert_eq!(digest(&base).len(), 16);
    assert_eq!(digest(&base), digest(&format!("# a comment\n\n{base}")));
    // Limits that the file does not set are those that ship with the program.
    assert_eq!(digest(&base), digest(&format!("{base}[amounts.JPY]\nsmall = 500\nlarge = 50_000\n")));
    for other in [
        one("new_country"),
        base.replace("\"r\"", "\"s\""),
        base.replace("10", "11"),
        base.replace("\"t\"", "\"u\""),
        format!("threshold = 51\n{base}"),
        format!("{base}[amounts.JPY]\nsmall = 501\nlarge = 50_000\n"),
    ] {
        assert_ne!(digest(&base), digest(&other), "{other}");
    }
}

/// Conditions over known signals, in the part of CEL that both evaluators take.
fn conditions() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("uses_1h".to_owned()),
        Just("uses_24h".to_owned()),
        (0..9_i64).prop_map(|number| number.to_string()),
    ];
    let numbers = number.prop_recursive(2, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["+", "-", "*"]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), prop::sample::select(vec!["/", "%"]), 1..5_i64)
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.prop_map(|a| format!("(-{a})")),
        ]
    });
    let order = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        Just("new_mcc".to_owned()),
        Just("card_not_present".to_owned()),
        Just("true".to_owned()),
        (numbers.clone(), order(), numbers.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (order(), 0..90_u32)
            .prop_map(|(op, tenths)| format!("amount_ratio {op} {:.1}", f64::from(tenths) / 10.0)),
        (numbers, prop::collection::vec(0..9_i64, 0..4)).prop_map(|(a, list)| format!("{a} in {list:?}")),
        prop::sample::select(vec![
            "channel == \"ecom\"",
            "channel != \"pos\"",
            "channel in [\"pos\", \"atm\"]"
        ])
        .prop_map(str::to_owned),
        (prop::sample::select(vec!["startsWith", "endsWith", "contains"]), "[0-9]{0,2}")
            .prop_map(|(question, part)| format!("mcc.{question}(\"{part}\")")),
    ];
    leaf.prop_recursive(4, 32, 2, |inner| {
        prop_oneof![
            (inner.clone(), prop::sample::select(vec!["&&", "||", "==", "!="]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(({a}) ? ({b}) : ({c}))")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_condition_means_what_cel_says(
        when in conditions(), uses_1h in 0..9_i64, uses_24h in 0..9_i64, tenths in 0..90_u32,
        new_mcc in any::<bool>(), card_not_present in any::<bool>(),
        channel in prop::sample::select(vec!["ecom", "pos", "moto", "atm"]),
        mcc in prop::sample::select(vec!["5411", "5999", "7011"]),
    ) {
        let amount_ratio = f64::from(tenths) / 10.0;
        let signals = signals(&[
            (Signal::Uses1h, uses_1h.into()),
            (Signal::Uses24h, uses_24h.into()),
            (Signal::AmountRatio, amount_ratio.into()),
            (Signal::NewMcc, new_mcc.into()),
            (Signal::CardNotPresent, card_not_present.into()),
            (Signal::Channel, channel.into()),
            (Signal::Mcc, mcc.into()),
        ]);
        let mut context = cel::Context::default();
        context.add_variable_from_value("uses_1h", uses_1h);
        context.add_variable_from_value("uses_24h", uses_24h);
        context.add_variable_from_value("amount_ratio", amount_ratio);
        context.add_variable_from_value("new_mcc", new_mcc);
        context.add_variable_from_value("card_not_present", card_not_present);
        context.add_variable_from_value("channel", channel);
        context.add_variable_from_value("mcc", mcc);
        let judged = cel::Program::compile(&when).unwrap().execute(&context);
        prop_assert_eq!(value(&when, &signals), Some(judged == Ok(true.into())), "{} {:?}", when, judged);
    }

    #[test]
    fn no_text_makes_the_checker_panic(text in "[a-z0-9_ .,!&|=<>()\\[\\]{}'\"?:+*/%-]{0,60}") {
        let _ = check::condition(&text);
        let _ = Template::parse(&text);
        let _ = RuleSet::parse(&text, "r");
    }
}

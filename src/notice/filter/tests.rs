//! Claims about filters: what each field means, what is refused, and that the unknown is sent.

use proptest::prelude::*;

use super::*;
use crate::codec::generate::alert;
use crate::domain::card::CardKind;
use crate::domain::incident::Element;
use crate::domain::money::Money;
use crate::domain::outcome::Verdict;
use crate::domain::vocabulary::{Channel, Outcome};
use crate::notice::samples;
use crate::scoring::condition::{Kind, Vocabulary};

fn wants(when: &str, alert: &Alert) -> bool {
    Filter { when: Some(When::parse(when).unwrap()), ..Filter::default() }.wants(alert)
}

fn errors(when: &str) -> Vec<String> {
    When::parse(when).unwrap_err().iter().map(|wrong| format!("{}: {}", wrong.line, wrong.message)).collect()
}

#[test]
fn conditions_ask_about_an_alert() {
    let alert = samples::full();
    for (when, want) in [
        ("severity == \"high\" && score >= 85", true),
        ("score > 85", false),
        ("\"shop-2018\" in incidents", true),
        ("\"shop-2019\" in incidents", false),
        ("\"card-testing\" in rules && !(\"bin-attack\" in rules)", true),
        ("\"security_code\" in elements", true),
        ("\"pin\" in elements", false),
        ("amount >= 12980 && currency == \"USD\"", true),
        ("amount > 12980", false),
        ("country in [\"JP\", \"US\"] && mcc.startsWith(\"57\")", true),
        ("merchant_name.contains(\"channel\")", true),
        ("approved && channel == \"ecom\"", true),
        ("kind == \"live\" && state == \"open\" && revision == 1", true),
        ("topic.endsWith(\"x\")", false),
    ] {
        assert_eq!(wants(when, &alert), want, "{when}");
    }
}

#[test]
fn any_of_the_incidents_and_any_of_the_rules_is_enough() {
    let (incidents, rules) = (["shop-2018-b"], ["amount".to_owned()]);
    let incidents = incidents.map(|id| id.parse().unwrap());
    let filter = Filter { incidents: incidents.into(), rules: rules.into(), ..Filter::default() };
    assert!(filter.wants(&samples::full()));
}

#[test]
fn an_alert_whose_condition_is_unknown_is_sent() {
    let bare = samples::bare();
    for (when, want) in [
        ("amount > 1000000", true),
        ("!(amount > 1000000)", true),
        ("country == \"JP\"", true),
        ("approved", true),
        ("known(amount) && amount > 1000000", false),
        ("verdict == \"fraud\"", true),
        ("known(verdict)", false),
        ("known(rules) && \"none\" in rules", false),
        ("country == \"JP\" && score > 1000", false),
    ] {
        assert_eq!(wants(when, &bare), want, "{when}");
    }
}

#[test]
fn a_filter_that_means_nothing_is_refused_with_what_to_write_instead() {
    for (when, want) in [
        ("severty == \"high\"", "0: no field is called `severty`: did you mean `severity`?"),
        ("score >\n  \"a\"", "orders a whole number and a text"),
        (
            "true &&\nseverity == \"hgh\"",
            "1: severity is never \"hgh\": did you mean `high`? (it is low, medium, high)",
        ),
        ("score", "0: is a whole number: a filter needs true or false"),
        ("\"pan_\" in elements", "elements never holds \"pan_\": did you mean `pan`? (it is of pan, name, "),
        ("currency in incidents", "a text in quotes is needed here: `\"…\" in incidents`"),
        ("\"a\" in severity", "`in` needs a list of literals on its right"),
        ("\"a\" in incidnets", "no field is called `incidnets`: did you mean `incidents`?"),
        ("incidents == \"a\"", "compares a list of texts with a text"),
        ("incidents in [\"a\"]", "compares a list of texts with a text"),
        ("rules.exists(r, r == \"a\")", "are not taken: write `\"…\" in rules`"),
        ("size(rules) > 2", "`size` is not taken in filters"),
        ("merchant.name == \"a\"", "fields have no fields of their own"),
        ("cvv == \"unknown\"", "write `!known(cvv)`"),
    ] {
        let errors = errors(when);
        assert!(errors.iter().any(|error| error.contains(want)), "{when}: {errors:?}");
    }
    assert_eq!(errors("severty == \"high\" && scor > 1").len(), 2);
}

#[test]
fn the_words_of_a_filter_are_those_of_the_alert() {
    let words = |field: Field| match field.kind() {
        Kind::Word(words) | Kind::Texts(words) => words.to_vec(),
        other => panic!("{other:?}"),
    };
    let json = |value: &dyn erased::Words| value.word();
    assert_eq!(words(Field::Elements), Element::ALL.map(Element::as_str));
    assert_eq!(words(Field::Verdict), Verdict::ALL.map(Verdict::as_str));
    for kind in [AlertKind::Live, AlertKind::Late, AlertKind::LookBack, AlertKind::Test] {
        assert!(words(Field::Kind).contains(&json(&kind).as_str()));
        let alert = Alert { kind, ..samples::full() };
        assert!(wants(&format!("kind == {:?}", json(&kind)), &alert));
    }
    use CardKind::*;
    for kind in [Number, FundingNumber, Token, AccountReference, Fingerprint] {
        assert!(words(Field::CardKind).contains(&kind.as_str()), "{kind:?}");
    }
}

mod erased {
    pub(super) trait Words {
        fn word(&self) -> String;
    }
    impl<T: serde::Serialize> Words for T {
        fn word(&self) -> String {
            serde_json::to_value(self).unwrap().as_str().unwrap().to_owned()
        }
    }
}

#[test]
fn the_rules_that_a_filter_names_are_told() {
    let when = When::parse("\"a\" in rules || \"b\" in rules && \"x\" in incidents").unwrap();
    let filter = Filter { rules: BTreeSet::from(["c".to_owned()]), when: Some(when), ..Filter::default() };
    assert_eq!(filter.rules_named().into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
}

proptest! {
    #[test]
    fn a_filter_wants_what_a_reader_of_its_settings_would(
        alert in alert(), least in prop::option::of(prop::sample::select(vec![Severity::Low, Severity::Medium, Severity::High])),
        kinds in prop::sample::subsequence(vec![AlertKind::Live, AlertKind::Late, AlertKind::Test], 0..=3),
        own_incident in any::<Option<bool>>(), own_rule in any::<Option<bool>>(), least_amount in any::<Option<i32>>(),
    ) {
        prop_assert!(Filter::default().wants(&alert));
        let mut filter = Filter { severity_at_least: least, kinds: kinds.clone(), ..Filter::default() };
        let mut want = least.is_none_or(|least| alert.severity as u8 >= least as u8)
            && (kinds.is_empty() || kinds.contains(&alert.kind));
        if let Some(own) = own_incident {
            let other = "no-such-incident-here".parse().unwrap();
            filter.incidents = BTreeSet::from([if own { alert.incidents[0].id.clone() } else { other }]);
            want &= own;
        }
        if let (Some(own), Some(reason)) = (own_rule, alert.reasons.first()) {
            filter.rules = BTreeSet::from([if own { reason.rule.clone() } else { "no rule".to_owned() }]);
            want &= own;
        }
        if let Some(least) = least_amount {
            filter.when = Some(When::parse(&format!("amount >= {least} || approved")).unwrap());
            let amount = alert.transaction.money().map(|Money { minor, .. }| minor >= i64::from(least));
            let approved = alert.transaction.outcome;
            want &= amount != Some(false) || approved != Outcome::Declined;
        }
        prop_assert_eq!(filter.wants(&alert), want);
    }

    #[test]
    fn the_stream_is_read_as_it_is(alert in alert()) {
        let channel = alert.transaction.channel;
        prop_assert_eq!(wants("known(channel)", &alert), channel != Channel::Unknown);
        prop_assert_eq!(wants("channel == \"ecom\"", &alert), matches!(channel, Channel::Ecom | Channel::Unknown));
    }
}

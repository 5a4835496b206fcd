use std::collections::BTreeMap;

use super::*;
use crate::codec::field::{AmountUnit, FieldSpec};
use crate::codec::mapping::MappingSpec;

const CARD: &str = "4242424242424242";

fn sampled(spec: &MappingSpec, records: &[String]) -> (Mapping, Sample) {
    let mapping = Mapping::new(spec).unwrap();
    let mut sample = Sample::new(&mapping);
    records.iter().for_each(|record| sample.take(&mapping, Some(record.as_bytes())));
    (mapping, sample)
}

fn row<'s>(sample: &'s Sample, name: &str) -> &'s FieldSample {
    &sample.fields.iter().find(|(known, _)| known == name).unwrap().1
}

fn priced(amounts: impl IntoIterator<Item = String>, currency: &str) -> Vec<String> {
    let record = |amount| format!(r#"{{"card":"{CARD}","amount":{amount},"currency":"{currency}"}}"#);
    amounts.into_iter().map(record).collect()
}

#[test]
fn found_parsed_shapes_and_failures_are_counted_for_each_field() {
    let spec = MappingSpec {
        references: BTreeMap::from([("account".to_owned(), vec!["/account".to_owned()])]),
        ..MappingSpec::default()
    };
    let records = [
        format!(
            r#"{{"card":"{CARD}","id":"t-1","at":"2018-06-05T14:40:15Z","account":"A-1207","channel":"pos"}}"#
        ),
        format!(r#"{{"card":"{CARD}","id":"t-22","at":"2018-06-05","channel":"81"}}"#),
        format!(r#"{{"card":"{CARD}","id":"x{CARD}","at":20180605,"channel":null}}"#),
        r#"{"card":"none"}"#.to_owned(),
        "{".to_owned(),
    ];
    let (mapping, mut sample) = sampled(&spec, &records);
    sample.take(&mapping, None);
    assert_eq!((sample.records, sample.tombstones), (5, 1));
    assert_eq!(sample.dead.values().sum::<u64>(), 2);
    let card = row(&sample, "card");
    assert_eq!((card.found, card.parsed, card.shapes["\"9999999999999999\""]), (4, 3, 3));
    let at = row(&sample, "at");
    assert_eq!((at.found, at.parsed, at.failures.values().sum::<u64>()), (3, 1, 2));
    assert_eq!(
        at.shapes.keys().collect::<Vec<_>>(),
        ["\"9999-99-99\"", "\"9999-99-99A99:99:99A\"", "99999999"]
    );
    let id = row(&sample, "id");
    assert_eq!((id.found, id.parsed), (3, 2));
    assert!(id.failures.keys().any(|cause| cause.contains("withheld")), "{id:?}");
    let channel = row(&sample, "channel");
    assert_eq!((channel.found, channel.parsed), (2, 1));
    assert_eq!(row(&sample, "references.account").shapes["\"A-9999\""], 1);
    let told = format!("{sample:?} {:?}", sample.warnings(&mapping));
    for value in [CARD, "1207", "t-22", "14:40"] {
        assert!(!told.contains(value), "{value}");
    }
}

#[test]
fn amounts_that_look_a_factor_of_100_off_are_told() {
    let cents = |n: u64| (0..n).map(|n| (1_000 + n * 37).to_string());
    let with = |unit: AmountUnit, records: &[String]| {
        let mut spec = MappingSpec::default();
        spec.fields.insert(Field::Amount, FieldSpec { unit: Some(unit), ..FieldSpec::at("/amount") });
        let (mapping, sample) = sampled(&spec, records);
        sample.warnings(&mapping).into_iter().filter(|text| text.starts_with("amount:")).collect::<Vec<_>>()
    };
    let major = with(AmountUnit::Major, &priced(cents(30), "USD"));
    assert!(major[0].contains("too large") && major[0].contains("minor"), "{major:?}");
    assert_eq!(with(AmountUnit::Minor, &priced(cents(30), "USD")), [""; 0]);
    assert_eq!(with(AmountUnit::Major, &priced(cents(10), "USD")), [""; 0]);
    let decimal = (0..30).map(|n| format!("\"{n}.95\""));
    assert_eq!(with(AmountUnit::Major, &priced(decimal, "EUR")), [""; 0]);
    // A point with the currency's places behind it says what is meant, also of round amounts.
    let round = (0..30).map(|n| format!("{n}.00"));
    assert_eq!(with(AmountUnit::Major, &priced(round, "USD")), [""; 0]);
    // One digit is how a program writes a whole number that it holds as a float.
    let float = (0..30).map(|n| format!("{}.0", 1_000 + n * 37));
    assert!(with(AmountUnit::Major, &priced(float, "USD"))[0].contains("too large"));
    let small = with(AmountUnit::Minor, &priced((1..40).map(|n| n.to_string()), "EUR"));
    assert!(small[0].contains("too small"), "{small:?}");
    let yen = with(AmountUnit::Minor, &priced((1..40).map(|n| format!("{n}00")), "JPY"));
    assert!(yen[0].contains("whole hundreds"), "{yen:?}");
    assert_eq!(with(AmountUnit::Minor, &priced(cents(30), "JPY")), [""; 0]);
}

#[test]
fn a_wallet_without_a_funding_number_and_fields_never_known_are_told() {
    let records = [format!(r#"{{"card":"{CARD}","credential":"wallet_token","cvv":"Q"}}"#)];
    let mut spec = MappingSpec::default();
    let (mapping, sample) = sampled(&spec, &records);
    let warnings = sample.warnings(&mapping);
    assert!(warnings.iter().any(|text| text.contains("funding_number")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.starts_with("cvv is there and always unknown")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("three_ds") && text.contains("nothing is at")));
    spec.other_cards.insert(CardKind::FundingNumber, vec!["/funding".to_owned()]);
    let (mapping, sample) = sampled(&spec, &records);
    assert!(!sample.warnings(&mapping).iter().any(|text| text.contains("wallet")));
}

use super::*;
use crate::codec::codes::Preset;

fn errors(spec: &MappingSpec) -> Vec<String> {
    Mapping::new(spec).map_or_else(|errors| errors.iter().map(ToString::to_string).collect(), |_| Vec::new())
}

#[test]
fn the_default_mapping_is_sound_and_complete() {
    let mapping = Mapping::new(&MappingSpec::default()).unwrap();
    assert_eq!(mapping.fields.len(), Field::ALL.len());
    assert!(mapping.has_one_card());
    for &field in Field::ALL {
        assert_eq!(Field::from_word(field.as_str()), Some(field));
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let mut spec = MappingSpec {
        card: vec!["/pan".to_owned()],
        card_key: Some("key".to_owned()),
        ..MappingSpec::default()
    };
    spec.fields.insert(Field::Amount, "/a~".into());
    spec.fields.insert(Field::MerchantId, "/pan".into());
    spec.references = (0..9).map(|i| (format!("r{i}"), vec!["/x".to_owned()])).collect();
    spec.references.insert("Bad name".to_owned(), vec!["/pan".to_owned()]);
    let texts = errors(&spec);
    for start in [
        "card_key: has a JSON Pointer that does not start",
        "card_key: has no meaning beside",
        "amount: has a JSON Pointer that has a tilde",
        "merchant_id: is the card's own field",
        "references.Bad name: is the card's own field",
        "references.Bad name: is not a reference's name",
        "references: names more than eight",
    ] {
        assert!(texts.iter().any(|text| text.starts_with(start)), "{start}: {texts:#?}");
    }
    assert_eq!(texts.len(), 7);
}

#[test]
fn what_does_not_fit_a_field_is_refused_with_what_does() {
    let at = FieldSpec::at("/x");
    let values = |code: &str, word: &str| BTreeMap::from([(code.to_owned(), word.to_owned())]);
    let value = |word: &str| Some(word.to_owned());
    for (field, how, want) in [
        (Field::Id, FieldSpec { unit: Some(AmountUnit::Minor), ..at.clone() }, "id: has a unit"),
        (Field::Amount, FieldSpec { time: Some(TimeForm::default()), ..at.clone() }, "amount: has a format"),
        (
            Field::MerchantMcc,
            FieldSpec { default: value("5999"), ..at.clone() },
            "merchant_mcc: has a default",
        ),
        (
            Field::Initiation,
            FieldSpec { preset: Some(Preset::Iso8583), ..at.clone() },
            "initiation: has a preset",
        ),
        (Field::At, FieldSpec { value: value("now"), ..at.clone() }, "at: has a value"),
        (Field::Id, FieldSpec { value: value("1"), ..at.clone() }, "id: has a value"),
        (
            Field::Channel,
            FieldSpec { values: values("1", "web"), ..at.clone() },
            "channel: gives the code \"1\"",
        ),
        (Field::Channel, FieldSpec { default: value("web"), ..at.clone() }, "channel: has a default that"),
        (Field::Currency, FieldSpec { value: value("yen"), ..at.clone() }, "currency: has a value that"),
        (
            Field::MerchantCountry,
            FieldSpec { value: value("Japan"), ..at.clone() },
            "merchant_country: has a value",
        ),
        (Field::Kind, FieldSpec::default(), "kind: has neither"),
        (
            Field::Kind,
            FieldSpec { pointers: ["/a"; 2].map(str::to_owned).to_vec(), ..at.clone() },
            "kind: names one place twice",
        ),
        (
            Field::Kind,
            FieldSpec { pointers: (0..5).map(|n| format!("/{n}")).collect(), ..at.clone() },
            "kind: names more than 4 places",
        ),
    ] {
        let mut spec = MappingSpec::default();
        spec.fields.insert(field, how);
        let texts = errors(&spec);
        assert_eq!(texts.len(), 1, "{want}: {texts:?}");
        assert!(texts[0].starts_with(want), "{want}: {texts:?}");
    }
    let mut spec = MappingSpec::default();
    spec.fields.remove(&Field::Currency);
    assert!(errors(&spec)[0].starts_with("currency: is unmapped"), "{:?}", errors(&spec));
    spec.fields.insert(Field::Currency, FieldSpec { value: value("JPY"), ..FieldSpec::default() });
    assert_eq!(errors(&spec), [""; 0]);
}

#[test]
fn card_fields_are_apart_and_only_an_account_reference_may_be_shown() {
    let other = |kind: CardKind, place: &str| MappingSpec {
        other_cards: BTreeMap::from([(kind, vec![place.to_owned()])]),
        references: BTreeMap::from([("ref".to_owned(), vec!["/other".to_owned()])]),
        ..MappingSpec::default()
    };
    for (kind, place, want) in [
        (CardKind::Token, "/token", None),
        (CardKind::AccountReference, "/other", None),
        (CardKind::Token, "/other", Some("references.ref: is the card's own field")),
        (CardKind::FundingNumber, "/other", Some("references.ref: is the card's own field")),
        (CardKind::FundingNumber, "/card", Some("funding_number: is where another card field is")),
        (CardKind::Number, "/x", Some("number: is what the card field holds already")),
    ] {
        let texts = errors(&other(kind, place));
        assert_eq!(texts.len(), usize::from(want.is_some()), "{kind:?} {place}: {texts:?}");
        assert!(texts.iter().all(|text| text.starts_with(want.unwrap())), "{texts:?}");
    }
    assert!(!Mapping::new(&other(CardKind::Token, "/token")).unwrap().has_one_card());
}

#[test]
fn two_fields_may_read_the_same_place() {
    let mut spec = MappingSpec::default();
    spec.fields.insert(Field::MerchantId, "/merchant".into());
    spec.fields.insert(Field::MerchantName, "/merchant".into());
    let mapping = Mapping::new(&spec).unwrap();
    assert_eq!(mapping.fields[&Field::MerchantId].slots, mapping.fields[&Field::MerchantName].slots);
}

#[test]
fn an_object_of_more_members_than_can_be_told_apart_is_refused() {
    let mut spec = MappingSpec::default();
    for (n, &field) in Field::ALL.iter().enumerate() {
        let pointers = (0..4).map(|place| format!("/m{n}-{place}")).collect();
        spec.fields.insert(field, FieldSpec { pointers, ..FieldSpec::default() });
    }
    assert!(errors(&spec)[0].contains("more than 64 members"), "{:?}", errors(&spec));
}

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::codec::generate::{alert, decision, outcome};
use crate::domain::alert::State;
use crate::domain::outcome::{Effect, Via};

const AT: Timestamp = Timestamp(1_800_000_000_000);

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(OUTCOME_SCHEMA_JSON).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

#[test]
fn what_others_write_reads_as_far_as_the_schema_lets_it() {
    let (alr, sgt) = ("alr_aaaaaaaaaaaaaaaaaaaaaaaaaa", "sgt_aaaaaaaaaaaaaaaaaaaaaaaaaa");
    let validator = validator();
    for (record, good) in [
        (json!({"alert": alr, "verdict": "fraud"}), true),
        (json!({"sighting": sgt, "verdict": "genuine", "case": 7}), true),
        (json!({"transaction": "t-1", "verdict": "unknown", "note": "a letter came"}), true),
        (json!({"alert": alr, "verdict": "fraud", "at": "2026-03-01T09:00:00+09:00"}), true),
        (json!({"alert": alr, "verdict": "fraud", "by": {"name": "cases", "via": "topic"}}), true),
        (json!({"schema": "cardwatch.outcome/1", "alert": alr, "verdict": "fraud", "note": null}), true),
        (json!({"schema": "cardwatch.outcome/2", "alert": alr, "verdict": "fraud"}), false),
        (json!({"alert": alr}), false),
        (json!({"verdict": "fraud"}), false),
        (json!({"alert": alr, "sighting": sgt, "verdict": "fraud"}), false),
        (json!({"alert": sgt, "verdict": "fraud"}), false),
        (json!({"sighting": alr, "verdict": "fraud"}), false),
        (json!({"alert": "alr_x", "verdict": "fraud"}), false),
        (json!({"transaction": "", "verdict": "fraud"}), false),
        (json!({"transaction": "x".repeat(257), "verdict": "fraud"}), false),
        (json!({"alert": alr, "verdict": "maybe"}), false),
        (json!({"alert": alr, "verdict": "fraud", "note": "n".repeat(1_001)}), false),
        (json!({"alert": alr, "verdict": "fraud", "at": "yesterday"}), false),
        (json!({"alert": alr, "verdict": "fraud", "by": {"name": "n".repeat(201), "via": "api"}}), false),
        (json!([alr, "fraud"]), false),
        (json!("fraud"), false),
    ] {
        let read = decode_outcome(record.to_string().as_bytes(), AT);
        assert_eq!(read.is_ok(), good, "{record}");
        assert_eq!(validator.is_valid(&record), good, "{record}");
    }
    // No schema can tell a card number from another.
    let card = json!({"alert": alr, "verdict": "fraud", "note": "4242 4242 4242 4242"});
    let error = decode_outcome(card.to_string().as_bytes(), AT).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("4242"));
}

#[test]
fn what_a_record_does_not_say_is_filled_in_from_its_place() {
    let read = decode_outcome(br#"{"transaction":"t","verdict":"fraud"}"#, AT).unwrap();
    assert_eq!(read.subject, Subject::Transaction("t".to_owned()));
    assert_eq!((read.decision.at, read.decision.by.via, read.about), (AT, Via::Topic, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_outcome_reads_back_and_fits_its_schema(outcome in outcome()) {
        let bytes = encode_outcome(&outcome).unwrap();
        prop_assert_eq!(decode_outcome(&bytes, AT).unwrap(), outcome);
        let record: Value = serde_json::from_slice(&bytes).unwrap();
        if let Err(error) = validator().validate(&record) {
            panic!("{} at {}", error, error.instance_path());
        }
    }

    #[test]
    fn a_decision_makes_the_next_revision_once_and_changes_nothing_else(
        alert in alert(),
        decisions in proptest::collection::vec(decision(), 1..6),
    ) {
        let mut now = alert.clone();
        for decision in &decisions {
            let next = match now.decided(decision) {
                Effect::Unchanged => {
                    let carried = now.outcome.as_ref().map_or(Verdict::Unknown, |outcome| outcome.verdict);
                    prop_assert_eq!(carried, decision.verdict);
                    continue;
                }
                Effect::Closed(next) => {
                    prop_assert_eq!(next.state, State::Closed);
                    next
                }
                Effect::Reopened(next) => {
                    prop_assert_eq!(next.state, State::Open);
                    prop_assert_eq!(decision.verdict, Verdict::Unknown);
                    next
                }
            };
            prop_assert_eq!(next.revision, now.revision.saturating_add(1));
            prop_assert_eq!(next.outcome.as_ref(), Some(decision));
            // The same again, by whomever: nothing.
            let again = Decision { by: By::unsaid(), at: AT, ..decision.clone() };
            prop_assert_eq!(next.decided(&again), Effect::Unchanged);
            now = *next;
        }
        let same = crate::domain::alert::Alert {
            revision: alert.revision, state: alert.state, outcome: alert.outcome.clone(), ..now
        };
        prop_assert_eq!(same, alert);
    }
}

//! Claims about judging.

use super::*;
use crate::domain::incident::Element;
use crate::domain::vocabulary::{Channel, Credential, Cvv, Initiation, Kind, Outcome};
use crate::scoring::fixtures::{DAY, HOUR, MINUTE, START, incident, sighting, sighting_with};
use crate::scoring::history::IncidentHash;
use crate::scoring::rules::DEFAULT_RULES;

fn judge_by(text: &str) -> Judge {
    Judge::new(RuleSet::parse(text, "rules.toml").unwrap(), JudgeSettings::default(), "1.2.3")
}

/// Alerts on every sighting whose rule `when` holds, at exactly the threshold.
fn judge_when(when: &str) -> Judge {
    judge_by(&format!("[[rule]]\nname = \"r\"\nwhen = '''{when}'''\nscore = 50\ntext = \"t\"\n"))
}

/// Judges sightings one after the other, as they happened, and gives the last judgement.
fn last_of(judge: &Judge, sightings: &[Sighting]) -> Judgement {
    let mut history = History::default();
    let mut last = None;
    for sighting in sightings {
        let judgement = judge.judge(sighting, &history, sighting.seen_at);
        history = judgement.history.clone();
        last = Some(judgement);
    }
    last.unwrap()
}

/// Twenty uses over 1,000 yen at M1, one a day until the day before `START`.
fn quiet_past() -> Vec<Sighting> {
    (0..20).map(|day| sighting(day, START - (21 - day) * DAY, 1_000)).collect()
}

fn after(past: Vec<Sighting>, newest: Sighting) -> Vec<Sighting> {
    past.into_iter().chain([newest]).collect()
}

#[test]
fn an_alert_says_everything_that_a_receiver_needs() {
    let judge = judge_by(
        r#"
        rule = [
          { name = "ratio", when = "amount_ratio >= 6.0", score = 20, text = "{amount_ratio} times the mean" },
          { name = "large", when = "amount_large", score = 60, text = "{amount}" },
          { name = "past", when = "past_uses == 20", score = 1, text = "{past_uses}" },
        ]"#,
    );
    let newest = sighting(99, START, 60_000);
    let judgement = last_of(&judge, &after(quiet_past(), newest.clone()));
    let alert = judgement.alert.unwrap();
    assert_eq!(alert.schema, ALERT_SCHEMA);
    assert_eq!(alert.id, newest.source.derived_id("alr"));
    assert_eq!((alert.revision, alert.state, alert.kind), (1, State::Open, AlertKind::Live));
    assert_eq!((alert.score, alert.severity), (81, Severity::Medium));
    let reasons: Vec<(&str, &str)> =
        alert.reasons.iter().map(|reason| (reason.rule.as_str(), reason.text.as_str())).collect();
    assert_eq!(reasons, [("large", "60000 JPY"), ("ratio", "60 times the mean"), ("past", "20")]);
    assert_eq!(alert.covers, std::slice::from_ref(&newest.id));
    assert_eq!(alert.history, Past { uses: 20, since: Some(Timestamp(START - 21 * DAY)) });
    assert_eq!((alert.card, alert.transaction), (newest.card, newest.transaction));
    assert_eq!((alert.incidents, alert.source), (newest.incidents, newest.source));
    assert_eq!(
        (alert.judged_by.exposures, alert.judged_by.rules.as_str(), alert.judged_by.version.as_str()),
        (17, judge.digest(), "1.2.3")
    );
    assert_eq!(judgement.history.judgements(), 21);
}

#[test]
fn severity_follows_the_score_beside_the_threshold() {
    let severity = |score: u32, threshold: u32| {
        let rules = format!("[[rule]]\nname = \"r\"\nwhen = 'true'\nscore = {score}\ntext = \"t\"\n");
        let settings = JudgeSettings { threshold: Some(threshold), ..JudgeSettings::default() };
        let judge = Judge::new(RuleSet::parse(&rules, "r").unwrap(), settings, "1");
        judge.judge(&sighting(1, START, 1), &History::default(), Timestamp(START)).alert.map(|a| a.severity)
    };
    assert_eq!(severity(29, 30), None);
    assert_eq!(severity(30, 30), Some(Severity::Low));
    assert_eq!(severity(44, 30), Some(Severity::Low));
    assert_eq!(severity(45, 30), Some(Severity::Medium));
    assert_eq!(severity(59, 30), Some(Severity::Medium));
    assert_eq!(severity(60, 30), Some(Severity::High));
}

#[test]
fn the_digest_changes_with_every_setting_that_decides() {
    let rules = RuleSet::parse(DEFAULT_RULES, "r").unwrap();
    let digest = |settings| Judge::new(rules.clone(), settings, "1").digest().to_owned();
    let base = JudgeSettings::default();
    assert_eq!(digest(base), digest(JudgeSettings { live_for_ms: 1, ..base }));
    assert_eq!(digest(base), digest(JudgeSettings { threshold: Some(rules.threshold()), ..base }));
    assert_ne!(digest(base), digest(JudgeSettings { threshold: Some(49), ..base }));
    assert_ne!(digest(base), digest(JudgeSettings { min_uses: 6, ..base }));
}

#[test]
fn an_alert_on_an_old_transaction_is_late_and_its_delay_is_that_of_the_record() {
    let judge = judge_when("true");
    let mut old = sighting(1, START, 1);
    old.source.timestamp = Timestamp(START + HOUR / 2);
    let kind_at = |now| {
        let alert = judge.judge(&old, &History::default(), Timestamp(now)).alert.unwrap();
        (alert.kind, alert.timing.transaction_to_alert_ms)
    };
    assert_eq!(kind_at(START + HOUR), (AlertKind::Live, HOUR / 2));
    assert_eq!(kind_at(START + HOUR + 1), (AlertKind::Late, HOUR / 2 + 1));
    assert_eq!(kind_at(START), (AlertKind::Live, 0));
}

#[test]
fn a_duplicate_is_counted_and_moves_and_raises_nothing() {
    let judge = judge_when("true");
    let first = judge.judge(&sighting(1, START, 100), &History::default(), Timestamp(START));
    let again = sighting_with(2, START + HOUR, 100, |transaction| transaction.id = Some("t-1".to_owned()));
    let second = judge.judge(&again, &first.history, Timestamp(START + HOUR));
    assert_eq!(second.duplicate_of, Some(sighting(1, START, 100).id));
    assert_eq!(second.alert, None);
    assert_eq!(second.history.judgements(), 2);
    assert_eq!(second.history.last_sighting(), Some(again.id));
    assert_eq!(second.history.recent(), first.history.recent());
    assert!(first.history.accounts().eq(second.history.accounts()));
}

#[test]
fn what_is_judged_goes_on_the_account_of_each_incident_in_force() {
    let judge = judge_when("amount >= 500");
    let mut steps = vec![
        sighting(1, START, 100),
        sighting_with(2, START + HOUR, 700, |t| t.outcome = Outcome::Declined),
        sighting(3, START + 2 * HOUR, 900),
    ];
    let mut over = incident("over");
    over.watch_until = Some(Timestamp(START + HOUR));
    steps.iter_mut().for_each(|sighting| sighting.incidents.insert(0, over.clone()));
    steps[2].seen_at = Timestamp(START + 27 * HOUR);
    let history = last_of(&judge, &steps).history;
    let account = |id: &str| history.account(IncidentHash::of(&id.parse().unwrap())).unwrap();
    let shop = account("shop");
    assert_eq!((shop.purchases, shop.declined, shop.alerts, shop.late, shop.outside), (2, 1, 2, 1, 0));
    let flow = shop.flow("JPY");
    assert_eq!((flow.approved.sum, flow.alerted_approved.sum), (1_000, 900));
    assert_eq!((flow.declined.sum, flow.alerted_declined.sum), (700, 700));
    assert_eq!(shop.first_alerted(), Some(Timestamp(START + HOUR)));
    let over = account("over");
    assert_eq!((over.purchases, over.sightings(), over.alerts, over.outside), (1, 1, 0, 2));
}

#[test]
fn nothing_is_raised_outside_every_watch_but_the_history_moves() {
    let judge = judge_when("true");
    let raised = |change: &dyn Fn(&mut ExposedIn)| {
        let mut sighting = sighting(1, START, 100);
        change(&mut sighting.incidents[0]);
        let judgement = judge.judge(&sighting, &History::default(), Timestamp(START));
        assert_eq!(judgement.history.uses(), 1);
        judgement.alert.is_some()
    };
    assert!(raised(&|_| {}));
    assert!(raised(&|incident| incident.exposed_from = Timestamp(START)));
    assert!(!raised(&|incident| incident.exposed_from = Timestamp(START + 1)), "before the exposure");
    assert!(!raised(&|incident| incident.watch_from = Timestamp(START + 1)), "before the watch");
    assert!(raised(&|incident| incident.watch_until = Some(Timestamp(START + 1))));
    assert!(!raised(&|incident| incident.watch_until = Some(Timestamp(START))), "after the watch");
}

#[test]
fn of_several_incidents_only_those_in_force_count() {
    let judge = judge_when("incidents == 1 && !security_code_exposed && days_since_exposure == 3");
    let mut newest = sighting(1, START, 100);
    newest.incidents[0].exposed_from = Timestamp(START - 3 * DAY - HOUR);
    let mut over = incident("over");
    over.watch_until = Some(Timestamp(START));
    over.elements.push(Element::SecurityCode);
    newest.incidents.insert(0, over);
    let alert = judge.judge(&newest, &History::default(), Timestamp(START)).alert.unwrap();
    let ids: Vec<&str> = alert.incidents.iter().map(|incident| incident.id.as_str()).collect();
    assert_eq!(ids, ["shop"]);
}

#[test]
fn a_comparison_with_the_past_is_unknown_below_min_uses_and_until_the_past_is_a_day_old() {
    let judge = judge_when("amount_ratio >= 6.0");
    let newest = sighting(99, START, 9_000);
    let of_past = |uses: usize| {
        let past = quiet_past().split_off(20 - uses);
        last_of(&judge, &after(past, newest.clone()))
    };
    assert_eq!(of_past(4).unknown_signals, ["amount_ratio"]);
    assert!(of_past(4).alert.is_none());
    assert!(of_past(5).alert.is_some());
    assert!(of_past(5).unknown_signals.is_empty());
    let burst: Vec<Sighting> = (0..10).map(|n| sighting(n, START - HOUR * (20 - n), 1_000)).collect();
    assert_eq!(last_of(&judge, &after(burst, newest)).unknown_signals, ["amount_ratio"]);
}

#[test]
fn a_late_sighting_completes_the_window_that_it_was_missing_from() {
    let judge = judge_when("uses_10m >= 5");
    let early: Vec<Sighting> =
        [0, 1, 8, 9].map(|minute| sighting(minute, START + minute * MINUTE, 100)).into();
    assert!(last_of(&judge, &early).alert.is_none());
    let mut late = sighting(50, START + 5 * MINUTE, 100);
    late.seen_at = Timestamp(START + HOUR);
    assert!(last_of(&judge, &after(early.clone(), late.clone())).alert.is_some());
    // Sixth and later minutes alone do not fill a window with the first ones.
    late.transaction.at = Some(Timestamp(START + 11 * MINUTE));
    assert!(last_of(&judge, &after(early, late)).alert.is_none());
}

#[test]
fn money_windows_know_neither_refusals_nor_returns_nor_clearings_of_known_authorizations() {
    let judge = judge_when("amount_24h == 1000 && uses_24h == 2 && declines_24h == 1 && checks_24h == 1");
    let steps = [
        sighting_with(1, START, 700, |t| t.kind = Kind::Authorization),
        sighting_with(2, START + MINUTE, 5_000, |t| t.outcome = Outcome::Declined),
        sighting_with(3, START + 2 * MINUTE, 5_000, |t| t.kind = Kind::Refund),
        sighting_with(4, START + 3 * MINUTE, 5_000, |t| t.kind = Kind::Reversal),
        sighting_with(5, START + 4 * MINUTE, 0, |t| t.kind = Kind::AccountCheck),
        sighting_with(6, START + 5 * MINUTE, 700, |t| t.kind = Kind::Clearing),
        sighting(7, START + 6 * MINUTE, 300),
    ];
    assert!(last_of(&judge, &steps).alert.is_some());
}

#[test]
fn each_thing_that_speaks_for_the_cardholder_closes_a_use() {
    let judge = judge_when("open_use");
    let open = |change: &dyn Fn(&mut Sighting)| {
        let mut newest = sighting(99, START, 100);
        newest.transaction.merchant.id = Some("M2".to_owned());
        change(&mut newest);
        last_of(&judge, &after(quiet_past(), newest)).alert.is_some()
    };
    assert!(open(&|_| {}));
    assert!(!open(&|s| s.transaction.credential = Credential::Chip));
    assert!(!open(&|s| s.transaction.credential = Credential::Magstripe));
    assert!(open(&|s| {
        s.transaction.credential = Credential::Magstripe;
        s.incidents[0].elements.push(Element::Track);
    }));
    assert!(!open(&|s| s.transaction.three_ds = crate::domain::vocabulary::ThreeDs::Authenticated));
    assert!(!open(&|s| s.transaction.cvv = Cvv::Match));
    assert!(open(&|s| {
        s.transaction.cvv = Cvv::Match;
        s.incidents[0].elements.push(Element::SecurityCode);
    }));
    assert!(!open(&|s| s.transaction.expiry = crate::domain::vocabulary::Expiry::Different));
    assert!(!open(&|s| s.transaction.outcome = Outcome::Declined));
    // A standing order at a merchant that the card has used, or on file there; not at a new one.
    for initiation in [Initiation::Recurring, Initiation::Instalment, Initiation::Merchant] {
        assert!(open(&|s| s.transaction.initiation = initiation));
        assert!(!open(&|s| {
            s.transaction.initiation = initiation;
            s.transaction.merchant.id = Some("M1".to_owned());
        }));
    }
    assert!(open(&|s| s.transaction.credential = Credential::Stored));
}

#[test]
fn the_shipped_rules_leave_alone_what_customers_do() {
    let judge = judge_by(DEFAULT_RULES);
    let quiet = |newest: Sighting| last_of(&judge, &after(quiet_past(), newest)).alert.is_none();
    assert!(quiet(sighting(99, START, 1_200)));
    assert!(quiet(sighting(99, START, 40_000)), "a dear purchase where the card is at home");
    assert!(quiet(sighting_with(99, START, 90_000, |t| {
        t.initiation = Initiation::Recurring;
        t.cvv = Cvv::Absent;
    })));
    assert!(quiet(sighting_with(99, START, 3_000, |t| {
        t.merchant.id = Some("M2".to_owned());
        t.merchant.mcc = Some("5999".to_owned());
        t.channel = Channel::Ecom;
    })));
    // Fares: small, many and quick, and the card is there.
    let fares = (0..5).map(|n| {
        sighting_with(100 + n, START + n * MINUTE, 210, |t| {
            t.merchant.id = Some("gate".to_owned());
            t.channel = Channel::Pos;
            t.credential = Credential::Contactless;
        })
    });
    assert!(last_of(&judge, &quiet_past().into_iter().chain(fares).collect::<Vec<_>>()).alert.is_none());
    // The day a list arrives: no past, nothing that is large by itself.
    assert!(last_of(&judge, &[sighting(1, START, 30_000)]).alert.is_none());
}

#[test]
fn the_shipped_rules_see_what_thieves_do() {
    let judge = judge_by(DEFAULT_RULES);
    let web = |number: i64, minute: i64, yen: i64, mcc: &str, outcome: Outcome| {
        sighting_with(number, START + minute * MINUTE, yen, |t| {
            t.merchant.id = Some(format!("web{mcc}"));
            t.merchant.mcc = Some(mcc.to_owned());
            t.channel = Channel::Ecom;
            t.initiation = Initiation::Cardholder;
            t.cvv = Cvv::Absent;
            t.outcome = outcome;
        })
    };
    let rules = |steps: &[Sighting]| {
        let all: Vec<Sighting> = quiet_past().into_iter().chain(steps.iter().cloned()).collect();
        let alert = last_of(&judge, &all).alert;
        alert.map(|alert| alert.reasons.into_iter().map(|reason| reason.rule).collect::<Vec<_>>())
    };
    let approved = Outcome::Approved;
    let testing = [
        web(101, 0, 300, "5815", approved),
        web(102, 3, 100, "5815", Outcome::Declined),
        web(103, 5, 200, "8398", approved),
    ];
    assert_eq!(rules(&testing).unwrap()[0], "card-testing");
    let burst = [web(101, 0, 12_000, "5732", approved), web(102, 20, 19_000, "5944", approved)];
    assert_eq!(rules(&burst).unwrap()[0], "several-unfamiliar-categories");
    let refused = [web(101, 0, 9_000, "5732", Outcome::Declined), web(102, 9, 9_000, "5732", approved)];
    assert!(rules(&refused).unwrap().contains(&"after-a-refusal".to_owned()));
}

/// The measure of the whole: a simulated breach, judged by the shipped rules. The bounds lie well below
/// what is reached, and far above what alerting on every sighting gives (a precision below 0.01).
#[test]
fn a_simulated_breach_is_told_from_its_customers() {
    use crate::codec::mapping::{Mapping, MappingSpec};
    use crate::simulation::{Truth, World, WorldSpec};
    use std::collections::{BTreeMap, BTreeSet};

    let judge = judge_by(DEFAULT_RULES);
    let spec = WorldSpec { misused_share: 0.05, ..WorldSpec::demo(7, Timestamp(START)) };
    let world = World::new(spec).unwrap();
    let exposed: BTreeSet<u32> = world.first_notice().cards().map(|listed| listed.card).collect();
    let mapping = Mapping::new(&MappingSpec::default()).unwrap();
    let mut histories: BTreeMap<u32, History> = BTreeMap::new();
    let (mut misuse, mut found, mut wrong, mut sightings) = (0, 0, 0, 0);
    for (number, event) in (0..).zip(world.events()).filter(|(_, event)| exposed.contains(&event.card)) {
        let card = mapping.scan(&event.json).unwrap();
        let mut sighting = sighting(number, event.at.millis(), 1);
        sighting.transaction = mapping.decode(&event.json, &card).transaction;
        let history = histories.entry(event.card).or_default();
        let judgement = judge.judge(&sighting, history, event.at);
        *history = judgement.history;
        sightings += 1;
        match (event.truth, judgement.alert.is_some()) {
            (Truth::Misuse { .. }, alerted) => {
                misuse += 1;
                found += i32::from(alerted);
            }
            (Truth::Genuine, alerted) => wrong += i32::from(alerted),
        }
    }
    assert!(misuse >= 40 && misuse * 100 < sightings, "{misuse} of {sightings}");
    let (recall, precision) =
        (f64::from(found) / f64::from(misuse), f64::from(found) / f64::from(found + wrong));
    assert!(recall > 0.6 && precision > 0.6, "recall {recall:.2}, precision {precision:.2}");
}

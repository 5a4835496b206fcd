//! From a sighting and a history to the value of every signal.

use crate::domain::incident::{Element, ExposedIn};
use crate::domain::sighting::Sighting;
use crate::domain::transaction::Transaction;
use crate::domain::vocabulary::{Credential, Initiation, ThreeDs};

use super::amounts::Amounts;
use super::history::past::{LAG_MS, settles_known};
use super::history::windows::Windows;
use super::history::{Event, History, Past, Role};
use super::signals::{Signal, Signals, Value};

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;
/// Milliseconds of an hour.
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * HOUR_MS;

/// What every signal needs.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The sighting.
    pub sighting: &'a Sighting,
    /// Its event.
    pub event: &'a Event,
    /// What was known of the card before it.
    pub history: &'a History,
    /// The incidents in force at the event's time.
    pub in_force: &'a [&'a ExposedIn],
    /// Small and large.
    pub amounts: &'a Amounts,
    /// Below this many past uses a comparison with the past is unknown.
    pub min_uses: u64,
}

/// The value of every signal.
pub fn signals_of<'a>(scene: &Scene<'a>) -> Signals<'a> {
    let currency = super::history::money_of(&scene.sighting.transaction).map(|money| money.currency);
    let mut signals = Signals::unknown(currency);
    let mut event = *scene.event;
    if event.role == Role::Settlement {
        let known = settles_known(&event, scene.history.recent());
        signals.set(Signal::Role, if known { Role::Settlement } else { Role::Use }.as_str());
        // A clearing that moves nothing must not count in a window either.
        event.role = if known { Role::Return } else { Role::Settlement };
    } else {
        signals.set(Signal::Role, event.role.as_str());
    }
    let past = Past::before(scene.history, event.at.saturating_sub(LAG_MS));
    transaction_signals(scene, &mut signals);
    exposure_signals(scene, &mut signals);
    past_signals(scene, &event, &past, &mut signals);
    window_signals(scene, &event, &past, &mut signals);
    signals
}

fn transaction_signals<'a>(scene: &Scene<'a>, signals: &mut Signals<'a>) {
    let transaction: &'a Transaction = &scene.sighting.transaction;
    macro_rules! words {
        ($($signal:ident = $field:ident),+) => {
            $(if !transaction.$field.is_unknown() {
                signals.set(Signal::$signal, transaction.$field.as_str());
            })+
        };
    }
    words!(
        Kind = kind,
        Outcome = outcome,
        Channel = channel,
        Initiation = initiation,
        Credential = credential,
        Cvv = cvv,
        Avs = avs,
        ThreeDs = three_ds,
        Expiry = expiry
    );
    signals.set(Signal::Mcc, transaction.merchant.mcc.as_deref());
    signals.set(Signal::Country, transaction.merchant.country.as_deref());
    signals.set(Signal::CardNotPresent, scene.event.remote);
    if !transaction.initiation.is_unknown() {
        signals.set(Signal::CardholderInitiated, transaction.initiation == Initiation::Cardholder);
    }
    let in_hand = matches!(transaction.credential, Credential::Chip | Credential::Contactless);
    signals.set(Signal::CardInHand, in_hand);
    signals.set(Signal::Authenticated, transaction.three_ds == ThreeDs::Authenticated);
    let Some(money) = super::history::money_of(transaction) else { return };
    signals.set(Signal::Amount, money.minor);
    signals.set(Signal::Currency, money.currency.code());
    if let Some(limits) = scene.amounts.of(money.currency) {
        signals.set(Signal::SmallAmount, limits.small);
        signals.set(Signal::LargeAmount, limits.large);
        signals.set(Signal::AmountSmall, (0..=limits.small).contains(&money.minor));
        signals.set(Signal::AmountLarge, money.minor >= limits.large);
    }
}

fn exposure_signals(scene: &Scene<'_>, signals: &mut Signals<'_>) {
    for (signal, element) in [
        (Signal::PanExposed, Element::Pan),
        (Signal::NameExposed, Element::Name),
        (Signal::ExpiryExposed, Element::Expiry),
        (Signal::SecurityCodeExposed, Element::SecurityCode),
        (Signal::TrackExposed, Element::Track),
        (Signal::PinExposed, Element::Pin),
        (Signal::AddressExposed, Element::Address),
        (Signal::EmailExposed, Element::Email),
        (Signal::PhoneExposed, Element::Phone),
        (Signal::PasswordExposed, Element::Password),
    ] {
        signals.set(signal, scene.in_force.iter().any(|incident| incident.elements.contains(&element)));
    }
    signals.set(Signal::Incidents, scene.in_force.len() as i64);
    let latest = scene.in_force.iter().map(|incident| incident.exposed_from.millis()).max();
    signals.set(Signal::DaysSinceExposure, latest.map(|from| (scene.event.at - from).max(0) / DAY_MS));
}

fn past_signals(scene: &Scene<'_>, event: &Event, past: &Past<'_>, signals: &mut Signals<'_>) {
    signals.set(Signal::PastUses, past.uses as i64);
    let enough = past.uses >= scene.min_uses;
    let merchant_known = past.knows_merchant(event);
    if enough || merchant_known == Some(true) {
        signals.set(Signal::MerchantKnown, merchant_known);
    }
    let by_merchant = matches!(
        scene.sighting.transaction.initiation,
        Initiation::Recurring | Initiation::Instalment | Initiation::Merchant
    );
    let stranger = enough && merchant_known == Some(false);
    signals.set(Signal::StandingAgreement, by_merchant && !stranger);
    if !enough {
        return;
    }
    signals.set(Signal::NewMerchant, merchant_known.map(|known| !known));
    signals.set(Signal::NewMcc, past.knows_mcc(event).map(|known| !known));
    signals.set(Signal::NewCountry, past.knows_country(event).map(|known| !known));
    signals.set(Signal::HourShare, past.hour_share(event.at));
    if let Some((minor, currency)) = event.money {
        let money = past.money(currency);
        if money.spread.count >= scene.min_uses.max(1) {
            let mean = money.sum as f64 / money.spread.count as f64;
            signals.set(Signal::AmountRatio, (mean > 0.0).then(|| rounded(minor as f64 / mean)));
            signals.set(Signal::AmountDeviation, rounded(money.spread.deviations(minor)));
        }
        if let Some(spread) = past.spread_like(event).filter(|spread| spread.count >= scene.min_uses.max(1)) {
            signals.set(Signal::AmountDeviationLike, rounded(spread.deviations(minor)));
        }
    }
}

fn window_signals(scene: &Scene<'_>, event: &Event, past: &Past<'_>, signals: &mut Signals<'_>) {
    let windows = Windows::around(scene.history, event);
    let count = |length, holds: &dyn Fn(&Event) -> bool| {
        windows.widest(length, |events| events.iter().filter(|event| holds(event)).count() as i64)
    };
    let is_use = |event: &Event| event.role.is_purchase();
    signals.set(Signal::Uses10m, count(10 * MINUTE_MS, &is_use));
    signals.set(Signal::Uses1h, count(HOUR_MS, &is_use));
    let uses_24h = count(DAY_MS, &is_use);
    signals.set(Signal::Uses24h, uses_24h);
    signals.set(Signal::Declines1h, count(HOUR_MS, &|event| event.role == Role::Declined));
    signals.set(Signal::Declines24h, count(DAY_MS, &|event| event.role == Role::Declined));
    signals.set(Signal::Checks24h, count(DAY_MS, &|event| event.role == Role::Check));
    signals.set(Signal::Merchants1h, windows.widest(HOUR_MS, merchants));
    if let Value::Int(small) = signals.get(Signal::SmallAmount) {
        let currency = event.money.map(|money| money.1);
        let is_small = |event: &Event| {
            is_use(event) && event.money.is_some_and(|(minor, code)| minor <= small && Some(code) == currency)
        };
        signals.set(Signal::SmallUses20m, count(20 * MINUTE_MS, &is_small));
        let is_test = |event: &Event| matches!(event.role, Role::Declined | Role::Check) || is_small(event);
        signals.set(Signal::Tests20m, count(20 * MINUTE_MS, &is_test));
    }
    if let Some((_, currency)) = event.money {
        let sum = |events: &[Event]| {
            let of_currency = events.iter().filter(|event| is_use(event)).filter_map(|event| event.money);
            of_currency
                .filter(|money| money.1 == currency)
                .fold(0, |sum: i64, money| sum.saturating_add(money.0))
        };
        signals.set(Signal::Amount1h, windows.widest(HOUR_MS, sum));
        signals.set(Signal::Amount24h, windows.widest(DAY_MS, sum));
        let money = past.money(currency);
        if money.spread.count >= scene.min_uses.max(1) {
            let is_unusual = |event: &Event| {
                is_use(event)
                    && event.money.is_some_and(|(minor, code)| {
                        code == currency && money.spread.deviations(minor) >= UNUSUAL
                    })
            };
            signals.set(Signal::UnusualUses24h, count(DAY_MS, &is_unusual));
        }
    }
    let days = scene.history.since().map_or(0, |since| event.at - LAG_MS - since.millis()) / DAY_MS;
    if past.uses >= scene.min_uses && days >= 7 {
        signals.set(Signal::UsesRatio24h, rounded(uses_24h as f64 * days as f64 / past.uses as f64));
    }
}

/// From how many standard deviations on an amount counts as unusual.
const UNUSUAL: f64 = 2.0;

/// How many merchants stand among `events`, by uses.
fn merchants(events: &[Event]) -> i64 {
    let mut seen: Vec<_> =
        events.iter().filter(|event| event.role.is_purchase()).filter_map(|event| event.merchant).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len() as i64
}

/// To two decimal places.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

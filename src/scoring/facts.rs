//! From a sighting and a history to the value of every signal.

use crate::domain::incident::{Element, ExposedIn};
use crate::domain::sighting::Sighting;
use crate::domain::transaction::Transaction;
use crate::domain::vocabulary::{Channel, Credential, Initiation};

use super::amounts::{Amounts, Limits};
use super::cardholder::ForCardholder;
use super::history::past::{LAG_MS, settles_known};
use super::history::windows::Windows;
use super::history::{Event, History, Money, Past, Role};
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
    let windows = Windows::around(scene.history, &event);
    velocity_signals(scene, &event, &windows, &mut signals);
    money_signals(scene, &event, &past, &windows, &mut signals);
    past_signals(scene, &event, &past, &windows, &mut signals);
    cardholder_signals(scene, &mut signals);
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
    signals.set(Signal::CardNotPresent, card_not_present(transaction));
    if !transaction.initiation.is_unknown() {
        signals.set(Signal::CardholderInitiated, transaction.initiation == Initiation::Cardholder);
    }
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

/// What speaks for the cardholder. Reads signals that were set before.
fn cardholder_signals(scene: &Scene<'_>, signals: &mut Signals<'_>) {
    let says = ForCardholder::of(&scene.sighting.transaction, scene.in_force.iter().copied());
    let agreed = says.is_agreed() && signals.get(Signal::NewMerchant) != Value::Bool(true);
    signals.set(Signal::StandingAgreement, agreed);
    signals.set(Signal::CardInHand, says.card_in_hand);
    signals.set(Signal::Authenticated, says.authenticated);
    signals.set(Signal::KnewCode, says.knew_code);
    signals.set(Signal::Reissued, says.reissued);
    let is_use = signals.get(Signal::Role) == Value::Text(Role::Use.as_str());
    let is_refusal = matches!(scene.event.role, Role::Declined | Role::Check);
    let is_open = !agreed && !says.is_proven();
    signals.set(Signal::OpenUse, is_use && is_open);
    signals.set(Signal::OpenAttempt, (is_use || is_refusal) && is_open);
}

fn past_signals(
    scene: &Scene<'_>,
    event: &Event,
    past: &Past<'_>,
    windows: &Windows,
    signals: &mut Signals<'_>,
) {
    signals.set(Signal::PastUses, past.uses as i64);
    let enough = past.uses >= scene.min_uses;
    let merchant_known = event.merchant.map(|_| past.merchant_day(event).is_some());
    if enough || merchant_known == Some(true) {
        signals.set(Signal::MerchantKnown, merchant_known);
    }
    if !enough {
        return;
    }
    signals.set(Signal::NewMerchant, merchant_known.map(|known| !known));
    let mcc_day = past.mcc_day(event);
    signals.set(Signal::NewMcc, event.mcc.map(|_| mcc_day.is_none()));
    let idle_days = |day: Option<u32>| day.map(|day| (event.at.max(0) / DAY_MS - i64::from(day)).max(0));
    signals.set(Signal::MccIdleDays, idle_days(mcc_day));
    signals.set(Signal::NewCountry, event.country.map(|_| past.country_day(event).is_none()));
    signals.set(Signal::HourShare, past.hour_share(event.at));
    let unfamiliar = |events: &[Event]| {
        let open = events.iter().filter(|event| event.is_open_attempt() && event.mcc.is_some());
        distinct(
            open.filter(|event| idle_days(past.mcc_day(event)).is_none_or(|days| days >= 7))
                .map(|event| event.mcc),
        )
    };
    signals.set(Signal::UnfamiliarMccs24h, windows.widest(DAY_MS, unfamiliar));
    let days = scene.history.since().map_or(0, |since| event.at - LAG_MS - since.millis()) / DAY_MS;
    if let Value::Int(uses) = signals.get(Signal::Uses24h)
        && days >= PACE_DAYS_MIN
    {
        signals.set(Signal::UsesRatio24h, rounded(uses as f64 * days as f64 / past.uses.max(1) as f64));
    }
}

fn velocity_signals(scene: &Scene<'_>, event: &Event, windows: &Windows, signals: &mut Signals<'_>) {
    let is_use = |event: &Event| event.role.is_purchase();
    let is_decline = |event: &Event| event.role == Role::Declined;
    signals.set(Signal::Uses10m, windows.count(10 * MINUTE_MS, is_use));
    signals.set(Signal::Uses1h, windows.count(HOUR_MS, is_use));
    signals.set(Signal::Uses24h, windows.count(DAY_MS, is_use));
    signals.set(Signal::Declines1h, windows.count(HOUR_MS, is_decline));
    signals.set(Signal::Declines24h, windows.count(DAY_MS, is_decline));
    signals.set(Signal::Checks24h, windows.count(DAY_MS, |event| event.role == Role::Check));
    let is_refusal = |event: &Event| event.is_open_attempt() && !is_use(event);
    signals.set(Signal::Refusals24h, windows.count(DAY_MS, is_refusal));
    let merchants = |events: &[Event]| {
        distinct(events.iter().filter(|event| is_use(event)).filter_map(|event| event.merchant))
    };
    signals.set(Signal::Merchants1h, windows.widest(HOUR_MS, merchants));
    let Some((_, currency)) = event.money else { return };
    let sum = |events: &[Event]| {
        let minors = events.iter().filter_map(|event| event.paid_in(currency));
        minors.fold(0, |sum: i64, minor| sum.saturating_add(minor))
    };
    signals.set(Signal::Amount1h, windows.widest(HOUR_MS, sum));
    signals.set(Signal::Amount24h, windows.widest(DAY_MS, sum));
    let limits = super::history::money_of(&scene.sighting.transaction)
        .and_then(|money| scene.amounts.of(money.currency));
    if let Some(Limits { small, large }) = limits {
        let is_small = |event: &Event| event.paid_in(currency).is_some_and(|minor| minor <= small);
        let is_large = |event: &Event| event.paid_in(currency).is_some_and(|minor| minor >= large);
        let is_test = |event: &Event| matches!(event.role, Role::Declined | Role::Check) || is_small(event);
        signals.set(Signal::SmallUses20m, windows.count(20 * MINUTE_MS, is_small));
        signals.set(Signal::Tests20m, windows.count(20 * MINUTE_MS, is_test));
        signals.set(Signal::LargeUses24h, windows.count(DAY_MS, is_large));
        signals.set(Signal::LargeUses72h, windows.count(3 * DAY_MS, is_large));
    }
}

fn money_signals(
    scene: &Scene<'_>,
    event: &Event,
    past: &Past<'_>,
    windows: &Windows,
    signals: &mut Signals<'_>,
) {
    let Some((minor, currency)) = event.money else { return };
    let Money { count, sum } = past.money(currency);
    if count < scene.min_uses.max(1) || sum == 0 {
        return;
    }
    let mean = sum as f64 / count as f64;
    signals.set(Signal::AmountRatio, rounded(minor as f64 / mean));
    let is_high =
        |event: &Event| event.paid_in(currency).is_some_and(|minor| minor as f64 >= HIGH_RATIO * mean);
    signals.set(Signal::HighUses72h, windows.count(3 * DAY_MS, is_high));
}

/// From which multiple of the card's mean on a use counts as high.
const HIGH_RATIO: f64 = 3.0;
/// How many days of past a daily mean of uses needs.
const PACE_DAYS_MIN: i64 = 7;

/// Whether the card was not there, as far as channel or credential tell.
fn card_not_present(transaction: &Transaction) -> Option<bool> {
    match (transaction.channel, transaction.credential) {
        (Channel::Ecom | Channel::Moto, _) => Some(true),
        (Channel::Pos | Channel::Atm, _) => Some(false),
        (_, Credential::Keyed | Credential::Stored) => Some(true),
        (_, Credential::Chip | Credential::Contactless | Credential::Magstripe) => Some(false),
        _ => None,
    }
}

/// How many different values there are.
fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> i64 {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.dedup();
    values.len() as i64
}

/// To two decimal places.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

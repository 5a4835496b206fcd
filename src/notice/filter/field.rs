//! The fields of an alert that a filter may speak of.

use crate::domain::alert::{Alert, AlertKind, Severity, State};
use crate::domain::vocabulary::{Avs, Channel, Credential, Cvv, Expiry, Initiation, Kind, Outcome, ThreeDs};
use crate::scoring::condition::{Kind as Type, Values, Vocabulary};
use crate::scoring::signals::Value;

/// Declares the fields: variant, name in filters, type, meaning.
macro_rules! fields {
    ($($member:ident = $name:literal : $type:expr, $doc:literal;)+) => {
        /// A field of an alert.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Field {
            $(#[doc = $doc] $member,)+
        }

        impl Field {
            /// What it means, in a sentence.
            pub fn doc(self) -> &'static str {
                match self { $(Field::$member => $doc,)+ }
            }
        }

        impl Vocabulary for Field {
            const ALL: &'static [Field] = &[$(Field::$member,)+];
            const NOUN: &'static str = "field";
            const OWNER: &'static str = "filter";

            fn name(self) -> &'static str {
                match self { $(Field::$member => $name,)+ }
            }

            fn kind(self) -> Type {
                use Type::*;
                match self { $(Field::$member => $type,)+ }
            }
        }
    };
}

const ALERT_KINDS: &[&str] = &["live", "late", "look_back", "test"];
const VERDICTS: &[&str] = &["fraud", "genuine", "unknown"];
const CARD_KINDS: &[&str] = &["number", "funding_number", "token", "account_reference", "fingerprint"];
const ELEMENTS: &[&str] =
    &["pan", "name", "expiry", "security_code", "track", "pin", "address", "email", "phone", "password"];

fields! {
    Severity = "severity": Word(&Severity::WORDS), "A word for the score. For an order see `score` and the filter's `severity_at_least`.";
    Score = "score": Int, "The sum of the scores of the rules that held.";
    Kind = "kind": Word(ALERT_KINDS), "How the alert came about.";
    State = "state": Word(&State::WORDS), "Where the alert stands.";
    Revision = "revision": Int, "1 for a new alert, more after decisions.";
    Verdict = "verdict": Word(VERDICTS), "What was decided; unknown while nobody has, or where nobody can tell.";
    Rules = "rules": Texts(&[]), "The names of the rules that held.";
    Incidents = "incidents": Texts(&[]), "The ids of the incidents that expose the card.";
    Elements = "elements": Texts(ELEMENTS), "What was exposed in any of the incidents.";
    PastUses = "past_uses": Int, "Uses of the card counted before this one.";
    CardKind = "card_kind": Word(CARD_KINDS), "Which card field matched, by what it holds.";
    Topic = "topic": Text, "The topic that the transaction came from.";
    TransactionKind = "transaction_kind": Word(Kind::WORDS), "The kind of message.";
    Approved = "approved": Bool, "Whether the issuer approved.";
    ResponseCode = "response_code": Text, "The response code as the stream gave it.";
    Amount = "amount": Int, "The amount billed where the stream says so, otherwise the amount asked for, in minor units as in rules and in the alert: 12980 is 129.80 USD and 12,980 JPY. Ask for `currency` beside it.";
    Currency = "currency": Text, "The ISO 4217 code of `amount`.";
    MerchantId = "merchant_id": Text, "The merchant's id.";
    MerchantName = "merchant_name": Text, "The merchant's name.";
    Mcc = "mcc": Text, "The merchant category code.";
    Country = "country": Text, "The merchant's country, ISO 3166-1 alpha-2.";
    Channel = "channel": Word(Channel::WORDS), "Where the sale took place.";
    Initiation = "initiation": Word(Initiation::WORDS), "Who started the transaction.";
    Credential = "credential": Word(Credential::WORDS), "How the card's data came to the merchant.";
    Cvv = "cvv": Word(Cvv::WORDS), "The result of the security code check.";
    Avs = "avs": Word(Avs::WORDS), "The result of the address check.";
    ThreeDs = "three_ds": Word(ThreeDs::WORDS), "The result of 3-D Secure.";
    Expiry = "expiry": Word(Expiry::WORDS), "The expiry date beside that of the exposed card.";
}

/// The values of the fields of one alert.
pub(super) struct Fields<'a>(pub(super) &'a Alert);

/// A word of the stream, which may be that it said nothing.
fn word<'v>(word: &'v str) -> Value<'v> {
    if word == "unknown" { Value::Unknown } else { Value::Text(word) }
}

fn kind_word(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Live => "live",
        AlertKind::Late => "late",
        AlertKind::LookBack => "look_back",
        AlertKind::Test => "test",
    }
}

impl<'v> Values<'v, Field> for Fields<'v> {
    fn get(&self, field: Field) -> Value<'v> {
        let alert = self.0;
        let transaction = &alert.transaction;
        match field {
            Field::Severity => alert.severity.as_str().into(),
            Field::Score => i64::from(alert.score).into(),
            Field::Kind => kind_word(alert.kind).into(),
            Field::State => alert.state.as_str().into(),
            Field::Revision => i64::from(alert.revision).into(),
            Field::Verdict => {
                alert.outcome.as_ref().map_or(Value::Unknown, |decision| word(decision.verdict.as_str()))
            }
            Field::Rules | Field::Incidents | Field::Elements => Value::Unknown,
            Field::PastUses => i64::try_from(alert.history.uses).unwrap_or(i64::MAX).into(),
            Field::CardKind => alert.card.kind.as_str().into(),
            Field::Topic => alert.source.topic.as_str().into(),
            Field::TransactionKind => word(transaction.kind.as_str()),
            Field::Approved => match transaction.outcome {
                Outcome::Approved => true.into(),
                Outcome::Declined => false.into(),
                Outcome::Unknown => Value::Unknown,
            },
            Field::ResponseCode => transaction.response_code.as_deref().into(),
            Field::Amount => transaction.money().map(|money| money.minor).into(),
            Field::Currency => transaction.money().map(|money| money.currency.code()).into(),
            Field::MerchantId => transaction.merchant.id.as_deref().into(),
            Field::MerchantName => transaction.merchant.name.as_deref().into(),
            Field::Mcc => transaction.merchant.mcc.as_deref().into(),
            Field::Country => transaction.merchant.country.as_deref().into(),
            Field::Channel => word(transaction.channel.as_str()),
            Field::Initiation => word(transaction.initiation.as_str()),
            Field::Credential => word(transaction.credential.as_str()),
            Field::Cvv => word(transaction.cvv.as_str()),
            Field::Avs => word(transaction.avs.as_str()),
            Field::ThreeDs => word(transaction.three_ds.as_str()),
            Field::Expiry => word(transaction.expiry.as_str()),
        }
    }

    fn holds(&self, field: Field, text: &str) -> Option<bool> {
        let alert = self.0;
        match field {
            Field::Rules => Some(alert.reasons.iter().any(|reason| reason.rule == text)),
            Field::Incidents => Some(alert.incidents.iter().any(|incident| incident.id.as_str() == text)),
            Field::Elements => {
                let mut exposed = alert.incidents.iter().flat_map(|incident| &incident.elements);
                Some(exposed.any(|element| element.as_str() == text))
            }
            _ => None,
        }
    }

    fn is_known(&self, field: Field) -> bool {
        matches!(field.kind(), Type::Texts(_)) || self.get(field) != Value::Unknown
    }
}

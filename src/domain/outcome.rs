//! An outcome: what somebody decided about an alert, and what that makes of the alert.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::alert::{Alert, Severity, State};
use super::card::{CARD_NUMBER_DIGITS_MAX, CardNumber, Fingerprint, KeyId};
use super::incident::IncidentId;
use super::money::Money;
use super::position::is_derived_id;
use super::time::Timestamp;

/// The name and version of the JSON form.
pub const OUTCOME_SCHEMA: &str = "cardwatch.outcome/1";
/// The longest note, in characters.
pub const NOTE_CHARS_MAX: usize = 1_000;
/// The longest name of who decided, in characters.
pub const NAME_CHARS_MAX: usize = 200;
/// The longest transaction id looked for, in bytes: alerts keep no longer ones.
pub const TRANSACTION_BYTES_MAX: usize = super::transaction::TEXT_BYTES_MAX;
/// The shortest run of digits taken for a card number in a note.
const CARD_DIGITS_MIN: usize = 13;

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Somebody else used the card.
    Fraud,
    /// It was the cardholder.
    Genuine,
    /// It is open again: nobody can tell, or an earlier decision was wrong.
    Unknown,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 3] = [Verdict::Fraud, Verdict::Genuine, Verdict::Unknown];

    /// The word in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Fraud => "fraud",
            Verdict::Genuine => "genuine",
            Verdict::Unknown => "unknown",
        }
    }

    /// The verdict of a word, if it is one.
    pub fn from_word(word: &str) -> Option<Verdict> {
        Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// A remark on a decision: 1 to 1,000 characters, none of them a card number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Note(String);

/// Why a note is refused. Carries nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Nothing but spaces.
    #[error("the note is empty; leave it out")]
    Empty,
    /// Longer than [`NOTE_CHARS_MAX`].
    #[error("the note is longer than {NOTE_CHARS_MAX} characters; shorten it")]
    TooLong,
    /// 13 to 19 digits with a right check digit.
    #[error(
        "the note holds what looks like a card number; leave it out and write a reference or the alert's id instead"
    )]
    CardNumber,
}

impl Note {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A note that may be blank, which is none.
    ///
    /// # Errors
    /// [`NoteError`] when it is too long or holds a card number.
    pub fn of(text: Option<&str>) -> Result<Option<Note>, NoteError> {
        match text.map(str::parse).transpose() {
            Err(NoteError::Empty) => Ok(None),
            note => note,
        }
    }
}

impl FromStr for Note {
    type Err = NoteError;
    fn from_str(text: &str) -> Result<Note, NoteError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NoteError::Empty);
        }
        if text.chars().count() > NOTE_CHARS_MAX {
            return Err(NoteError::TooLong);
        }
        if holds_card_number(text) { Err(NoteError::CardNumber) } else { Ok(Note(text.to_owned())) }
    }
}

impl TryFrom<String> for Note {
    type Error = NoteError;
    fn try_from(text: String) -> Result<Note, NoteError> {
        text.parse()
    }
}

impl From<Note> for String {
    fn from(note: Note) -> String {
        note.0
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Note({} bytes)", self.0.len())
    }
}

/// Whether `text` holds 13 to 19 digits that pass the check of card numbers: digits in a row, or whole groups of
/// them with nothing but spaces and punctuation between. A colon ends a number, or a time of day would be part of
/// one.
pub fn holds_card_number(text: &str) -> bool {
    let mut digits = zeroize::Zeroizing::new(Vec::with_capacity(text.len()));
    // Where groups of digits begin, in `digits`; a number begins and ends at such a place.
    let mut groups: Vec<usize> = Vec::new();
    let mut in_group = false;
    let mut found = false;
    for char in text.chars() {
        let digit = match char {
            '0'..='9' => Some(char as u8),
            // Full-width digits, as Japanese systems write them.
            '０'..='９' => Some(b'0' + (u32::from(char) - u32::from('０')) as u8),
            _ => None,
        };
        if let Some(digit) = digit {
            if !in_group {
                groups.push(digits.len());
            }
            digits.push(digit);
            in_group = true;
            continue;
        }
        in_group = false;
        if char.is_alphanumeric() || char == ':' {
            found |= is_among(&digits, &groups);
            digits.clear();
            groups.clear();
        }
    }
    found || is_among(&digits, &groups)
}

fn is_among(digits: &[u8], groups: &[usize]) -> bool {
    let ends = || groups.iter().skip(1).copied().chain([digits.len()]);
    let card = |start: usize, end: usize| {
        let length = end.saturating_sub(start);
        (CARD_DIGITS_MIN..=CARD_NUMBER_DIGITS_MAX).contains(&length)
            && CardNumber::parse(&digits[start..end]).is_ok_and(|number| number.passes_luhn())
    };
    groups.iter().any(|start| ends().any(|end| card(*start, end)))
}

/// How a decision came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Over `/v1/outcomes`.
    Api,
    /// By `cardwatch outcome`.
    Command,
    /// Written to the topic by somebody else's system.
    Topic,
}

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// Who the channel knows: the name of a token, or user and host of a command. `None` where a system wrote to
    /// the topic and did not say.
    #[serde(default)]
    pub name: Option<String>,
    /// Who they say they are: nobody has checked it.
    #[serde(default)]
    pub claimed: Option<String>,
    /// How it came in.
    pub via: Via,
}

impl By {
    /// A system that wrote to the topic and did not say who it is.
    pub fn unsaid() -> By {
        By { name: None, claimed: None, via: Via::Topic }
    }

    /// Both names are short and hold no card number.
    pub fn is_fit(&self) -> bool {
        let mut names = [&self.name, &self.claimed].into_iter().flatten();
        names.all(|name| name.chars().count() <= NAME_CHARS_MAX && !holds_card_number(name))
    }
}

/// What was decided, as an alert carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// A remark.
    pub note: Option<Note>,
    /// Who decided.
    pub by: By,
    /// When.
    pub at: Timestamp,
}

/// What an outcome is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An alert, by its id.
    Alert(String),
    /// A sighting, by its id: its alert, where there is one.
    Sighting(String),
    /// A transaction, by the user's own id, to be resolved among the alerts.
    Transaction(String),
}

impl Subject {
    /// An alert or a sighting by its id.
    pub fn of_id(id: &str) -> Option<Subject> {
        if is_derived_id(id, "alr") {
            Some(Subject::Alert(id.to_owned()))
        } else if is_derived_id(id, "sgt") {
            Some(Subject::Sighting(id.to_owned()))
        } else {
            None
        }
    }

    /// The id.
    pub fn id(&self) -> &str {
        match self {
            Subject::Alert(id) | Subject::Sighting(id) | Subject::Transaction(id) => id,
        }
    }
}

/// What an outcome says of its alert, so that it still tells its story when the alert has expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The card's fingerprint.
    pub fingerprint: Fingerprint,
    /// The key it was made with.
    pub key: KeyId,
    /// The incidents that exposed the card.
    pub incidents: Vec<IncidentId>,
    /// When the alert was raised.
    pub raised_at: Timestamp,
    /// The alert's severity.
    pub severity: Severity,
    /// Its score.
    pub score: u32,
    /// The rules that held, the heaviest first.
    pub rules: Vec<String>,
    /// The user's id of the transaction.
    pub transaction: Option<String>,
    /// When the card was used.
    pub transaction_at: Option<Timestamp>,
    /// Whether it was approved or declined.
    pub transaction_outcome: super::vocabulary::Outcome,
    /// What it would cost, as billed where that is known, so that it agrees with the books: in JSON `amount` in minor units as text, and `currency`.
    #[serde(flatten, with = "super::transaction::amount")]
    pub amount: Option<Money>,
}

impl About {
    /// What is worth keeping of `alert`.
    pub fn of(alert: &Alert) -> About {
        About {
            fingerprint: alert.card.fingerprint,
            key: alert.card.key.clone(),
            incidents: alert.incidents.iter().map(|incident| incident.id.clone()).collect(),
            raised_at: alert.raised_at,
            severity: alert.severity,
            score: alert.score,
            rules: alert.reasons.iter().map(|reason| reason.rule.clone()).collect(),
            transaction: alert.transaction.id.clone(),
            transaction_at: alert.transaction.at,
            transaction_outcome: alert.transaction.outcome,
            amount: alert.transaction.money(),
        }
    }
}

/// An outcome as `cardwatch.outcomes` holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it is about.
    pub subject: Subject,
    /// What was decided.
    pub decision: Decision,
    /// What is known of the alert; `None` where somebody else's system wrote the record.
    pub about: Option<About>,
}

/// What a decision does to an alert.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Nothing that the alert does not say already.
    Unchanged,
    /// The next revision, closed.
    Closed(Box<Alert>),
    /// The next revision, open.
    Reopened(Box<Alert>),
}

impl Alert {
    /// What `decision` makes of this alert. It changes something when its verdict is another than the alert
    /// carries, or when it comes with another note; the same decision twice changes nothing the second time, whoever
    /// repeats it. An alert that nobody has decided is *unknown* already.
    pub fn decided(&self, decision: &Decision) -> Effect {
        let before = self.outcome.as_ref();
        let same_verdict = before.map_or(Verdict::Unknown, |before| before.verdict) == decision.verdict;
        let new_note =
            decision.note.is_some() && decision.note != before.and_then(|before| before.note.clone());
        if same_verdict && !new_note {
            return Effect::Unchanged;
        }
        let mut next = self.clone();
        next.revision = self.revision.saturating_add(1);
        next.outcome = Some(decision.clone());
        match decision.verdict {
            Verdict::Fraud | Verdict::Genuine => {
                next.state = State::Closed;
                Effect::Closed(Box::new(next))
            }
            Verdict::Unknown => {
                next.state = State::Open;
                Effect::Reopened(Box::new(next))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_holds_a_card_number_is_refused() {
        for text in [
            "4242424242424242",
            "it was 4242 4242 4242 4242!",
            "4242-4242-4242-4242",
            "4242.4242.4242.4242 on the web",
            "order 7, card 4242 4242 4242 4242, call back",
            "４２４２４２４２４２４２４２４２",
            "card:3782 822463 10005",
            "6304000000000000000",
            "(5555)(5555)(5555)(4444)",
        ] {
            assert_eq!(text.parse::<Note>(), Err(NoteError::CardNumber), "{text}");
        }
        for text in [
            "called the customer, who knows nothing of it",
            "4242424242424243",
            "ends in 4242",
            "case 2026-1234 of 12:53:16, 129.80 EUR",
            "tel +81 3 1234 5678",
            "alr_4242aaaaaaaaaaaaaaaaaaaaaa",
            "a4242424242424241z 424242424242",
        ] {
            assert!(text.parse::<Note>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_note_has_an_end() {
        assert!("é".repeat(NOTE_CHARS_MAX).parse::<Note>().is_ok());
        assert_eq!("é".repeat(NOTE_CHARS_MAX + 1).parse::<Note>(), Err(NoteError::TooLong));
        assert_eq!(" \n".parse::<Note>(), Err(NoteError::Empty));
        assert_eq!(" a ".parse::<Note>().map(|note| note.as_str().to_owned()), Ok("a".to_owned()));
    }
}

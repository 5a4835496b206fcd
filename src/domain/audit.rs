//! An audit record: who did what to what, when, from where, and how it ended.
//!
//! It holds what PCI DSS 10.2.2 asks of an audit trail: the person, the kind of act, its time, whether it
//! succeeded, where it came from, and what it touched.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::time::Timestamp;

/// The name and version of the JSON form.
pub const AUDIT_SCHEMA: &str = "cardwatch.audit/1";

/// The JSON Schema of that form.
pub const AUDIT_SCHEMA_JSON: &str = include_str!("../../config/schema/audit-1.json");

/// What can be done that must be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// An incident is opened, with its list.
    Import,
    /// An incident is revised.
    Revision,
    /// A revision is undone.
    Undo,
    /// An incident is closed.
    Close,
    /// A legal hold is set or lifted.
    Hold,
    /// A card is forgotten.
    Forget,
    /// A key is made or retired.
    KeyChange,
    /// A token is made.
    TokenChange,
    /// Records are skipped.
    Skip,
    /// Reading goes on although records are lost.
    AcceptGap,
    /// The rules are read anew.
    RuleReload,
    /// A notice is sent again.
    Replay,
    /// A receiver of notices is switched on or off, or its secret changed.
    EndpointChange,
    /// Somebody decides what an alert was.
    Outcome,
}

impl Act {
    /// Every act.
    pub const ALL: [Act; 14] = [
        Act::Import,
        Act::Revision,
        Act::Undo,
        Act::Close,
        Act::Hold,
        Act::Forget,
        Act::KeyChange,
        Act::TokenChange,
        Act::Skip,
        Act::AcceptGap,
        Act::RuleReload,
        Act::Replay,
        Act::EndpointChange,
        Act::Outcome,
    ];

    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Act::Import => "import",
            Act::Revision => "revision",
            Act::Undo => "undo",
            Act::Close => "close",
            Act::Hold => "hold",
            Act::Forget => "forget",
            Act::KeyChange => "key_change",
            Act::TokenChange => "token_change",
            Act::Skip => "skip",
            Act::AcceptGap => "accept_gap",
            Act::RuleReload => "rule_reload",
            Act::Replay => "replay",
            Act::EndpointChange => "endpoint_change",
            Act::Outcome => "outcome",
        }
    }

    /// The act of a word.
    pub fn from_word(word: &str) -> Option<Act> {
        Act::ALL.into_iter().find(|act| act.as_str() == word)
    }
}

/// How an act came to cardwatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The command line.
    Cli,
    /// A request with a token.
    Http,
    /// The service itself, asked by a signal or its own options.
    Service,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The name of the operating system's user that the process runs as; `uid N` where it has none.
    pub user: String,
    /// The host it ran on.
    pub host: String,
    /// Who they said they are: a claim that nothing has checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
    /// How it came.
    pub via: Via,
    /// The name of the token, where it came by HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl By {
    /// The user and the host, as the system knows them: `USER@HOST`.
    pub fn login(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }

    /// Who asked, in a word: the token, where it came by HTTP, otherwise the login.
    pub fn asker(&self) -> String {
        self.token.clone().unwrap_or_else(|| self.login())
    }
}

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It is about to be done. Where nothing follows, nobody knows whether it was.
    Intent,
    /// It was done.
    Done,
    /// It was not.
    Failed,
}

impl Ending {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Ending::Intent => "intent",
            Ending::Done => "done",
            Ending::Failed => "failed",
        }
    }
}

/// An audit record as `cardwatch.audit` and the audit file hold it (JSON, `cardwatch.audit/1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Always [`AUDIT_SCHEMA`].
    pub schema: String,
    /// `aud_…`, of the act: its intent and its end have the same.
    pub id: String,
    /// When this was written down.
    pub at: Timestamp,
    /// What was done: a word of [`Act`], or of a newer version.
    pub act: String,
    /// What it was done to: `incident/shop-2026`, `key/k2`, `topic/transactions/3`, `rules`.
    pub subject: String,
    /// What it was before, where that makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is, or is to be, afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Why it was done, in the words of who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who did it.
    pub by: By,
    /// How it ended.
    pub outcome: Ending,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The version of the program.
    pub version: String,
}

/// Why bytes are no audit record. Carries nothing of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditRecordError {
    /// Not JSON of this form.
    #[error("not an audit record (line {line}, column {column})")]
    NotARecord {
        /// Where, counted from 1.
        line: usize,
        /// Where, counted from 1.
        column: usize,
    },
    /// Another version's.
    #[error("an audit record of another schema than {AUDIT_SCHEMA}: a newer cardwatch wrote it")]
    OtherSchema,
}

impl AuditRecord {
    /// Whether it tells of a change of files beside a command, which needs no cluster: of keys and tokens.
    pub fn is_of_local_files(&self) -> bool {
        let local = [Act::KeyChange, Act::TokenChange].iter().any(|act| act.as_str() == self.act);
        local && self.by.via == Via::Cli
    }

    /// The record as JSON, without a line's end.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and JSON values alone: nothing that could not be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is not one, or of another schema.
    pub fn from_json(bytes: &[u8]) -> Result<AuditRecord, AuditRecordError> {
        let record: AuditRecord = serde_json::from_slice(bytes)
            .map_err(|error| AuditRecordError::NotARecord { line: error.line(), column: error.column() })?;
        if record.schema == AUDIT_SCHEMA { Ok(record) } else { Err(AuditRecordError::OtherSchema) }
    }
}

/// A range of the input that nobody will read, because somebody said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRange {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The consumer group that will not read it.
    pub group: String,
    /// The first offset of the range.
    pub first: i64,
    /// The last; below `first` where the range is empty or its extent unknown.
    pub last: i64,
    /// The time of the first record of the range, where the log could still tell, or of the last one before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The time of the first record behind the range, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl LostRange {
    /// Offsets in the range.
    pub fn records(&self) -> i64 {
        (self.last - self.first + 1).max(0)
    }

    /// The subject of its audit record.
    pub fn subject(&self) -> String {
        format!("topic/{}/{}", self.topic, self.partition)
    }

    /// The range that a record says was given up: by `accept_gap` or `skip`, and done.
    pub fn of(record: &AuditRecord) -> Option<LostRange> {
        let given_up = [Act::AcceptGap, Act::Skip].iter().any(|act| act.as_str() == record.act);
        if !given_up || record.outcome != Ending::Done {
            return None;
        }
        serde_json::from_value(record.after.clone()?.get("lost")?.clone()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(act: Act, outcome: Ending, after: Value) -> AuditRecord {
        AuditRecord {
            schema: AUDIT_SCHEMA.to_owned(),
            id: format!("aud_{}", "0123456789abcdef".repeat(2)),
            at: Timestamp(1_000),
            act: act.as_str().to_owned(),
            subject: "topic/transactions/3".to_owned(),
            before: None,
            after: Some(after),
            reason: Some("the disk was full".to_owned()),
            by: By {
                user: "ops".to_owned(),
                host: "h1".to_owned(),
                claimed: Some("Risk desk".to_owned()),
                via: Via::Cli,
                token: None,
            },
            outcome,
            error: None,
            version: "0.1.0".to_owned(),
        }
    }

    #[test]
    fn a_record_survives_its_text_and_another_schema_is_refused() {
        let record = record(Act::Skip, Ending::Done, json!({"next": 7}));
        let text = record.to_json();
        assert_eq!(AuditRecord::from_json(&text).unwrap(), record);
        let other = String::from_utf8(text).unwrap().replace("audit/1", "audit/2");
        assert_eq!(AuditRecord::from_json(other.as_bytes()), Err(AuditRecordError::OtherSchema));
        assert!(matches!(AuditRecord::from_json(b"{}"), Err(AuditRecordError::NotARecord { .. })));
    }

    #[test]
    fn a_lost_range_is_told_by_what_was_given_up_and_done() {
        let range = LostRange {
            topic: "transactions".to_owned(),
            partition: 3,
            group: "g".to_owned(),
            first: 5,
            last: 9,
            from: None,
            until: Some(Timestamp(7)),
        };
        let after = json!({"lost": range});
        for (act, ending, told) in [
            (Act::Skip, Ending::Done, true),
            (Act::AcceptGap, Ending::Done, true),
            (Act::Skip, Ending::Intent, false),
            (Act::Skip, Ending::Failed, false),
            (Act::Close, Ending::Done, false),
        ] {
            let found = LostRange::of(&record(act, ending, after.clone()));
            assert_eq!(found, told.then(|| range.clone()), "{act:?} {ending:?}");
        }
        assert_eq!(range.records(), 5);
        assert_eq!(LostRange { last: 4, ..range }.records(), 0);
    }

    #[test]
    fn records_fit_their_schema_and_what_lacks_something_does_not() {
        let schema: Value = serde_json::from_str(AUDIT_SCHEMA_JSON).unwrap();
        assert_eq!(schema["properties"]["act"]["enum"], json!(Act::ALL.map(Act::as_str)));
        for object in [&schema, &schema["properties"]["by"]] {
            for (name, property) in object["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{name}");
            }
        }
        let validator = jsonschema::validator_for(&schema).unwrap();
        for act in Act::ALL {
            let least = AuditRecord {
                before: None,
                after: None,
                reason: None,
                ..record(act, Ending::Intent, json!(1))
            };
            let most = AuditRecord {
                before: Some(json!([1, 2])),
                error: Some("refused".to_owned()),
                by: By { via: Via::Http, token: Some("desk".to_owned()), ..least.by.clone() },
                ..record(act, Ending::Failed, json!({"a": null}))
            };
            for record in [least, most] {
                let value: Value = serde_json::from_slice(&record.to_json()).unwrap();
                assert!(validator.is_valid(&value), "{value}");
                for name in schema["required"].as_array().unwrap() {
                    let mut lacking = value.clone();
                    lacking.as_object_mut().unwrap().remove(name.as_str().unwrap());
                    assert!(!validator.is_valid(&lacking), "without {name}");
                }
                let mut more = value.clone();
                more["colour"] = json!("blue");
                assert!(!validator.is_valid(&more));
            }
        }
    }

    #[test]
    fn keys_and_tokens_changed_by_commands_are_of_local_files() {
        for act in Act::ALL {
            let by_command = record(act, Ending::Intent, json!(1));
            let local = matches!(act, Act::KeyChange | Act::TokenChange);
            assert_eq!(by_command.is_of_local_files(), local, "{act:?}");
            for via in [Via::Http, Via::Service] {
                let by = By { via, ..by_command.by.clone() };
                let record = AuditRecord { by, ..by_command.clone() };
                assert!(!record.is_of_local_files(), "{act:?} {via:?}");
            }
        }
    }

    #[test]
    fn every_act_has_a_word_of_its_own() {
        for act in Act::ALL {
            assert_eq!(Act::from_word(act.as_str()), Some(act));
        }
    }
}

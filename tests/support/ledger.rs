//! The ledger as its topic has it, read by its published form (`src/notice/record.rs` says what stands there) and by
//! nothing of the program's own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;

use super::records::Message;

/// A delivery that is made out.
#[derive(Debug, Deserialize)]
struct Owed {
    stage: String,
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Account {
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Range {
    from: i64,
    to: i64,
    count: u64,
}

/// A range of alerts that are owed without being made out.
#[derive(Debug, Clone, Copy)]
pub struct Ranged {
    /// How many of its alerts are owed, as it says itself.
    pub count: u64,
    partition: i32,
    range: Range,
}

impl Ranged {
    /// Whether the alert at this place lies in it.
    pub fn holds(&self, (partition, offset): (i32, i64)) -> bool {
        partition == self.partition && (self.range.from..self.range.to).contains(&offset)
    }
}

/// What the records of the topic come to, in the order in which they were taken in.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By endpoint, then by id.
    owed: BTreeMap<String, BTreeMap<String, Owed>>,
    /// By endpoint, then by partition.
    accounts: BTreeMap<String, BTreeMap<i32, Account>>,
    /// Every id that ever stood there, with a digest of what was in it.
    held: BTreeMap<String, HashMap<Box<str>, u64>>,
    /// Ids whose members did not stay what they were.
    changed: BTreeMap<String, BTreeSet<String>>,
    unreadable: Vec<String>,
}

impl Ledger {
    /// Takes a record in.
    pub fn take(&mut self, message: &Message) {
        let key = String::from_utf8_lossy(message.key.as_deref().unwrap_or_default()).into_owned();
        if let Err(reason) = self.record(&key, message.partition, message.value.as_deref()) {
            self.unreadable.push(format!("{key}: {reason}"));
        }
    }

    /// Takes a record in that stands in this partition under this key.
    ///
    /// # Errors
    /// When it is none of a ledger.
    pub fn record(&mut self, key: &str, partition: i32, value: Option<&[u8]>) -> Result<(), String> {
        fn read<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, String> {
            serde_json::from_slice(value).map_err(|error| error.to_string())
        }
        let (kind, name) = key.split_once('/').ok_or("a key has a kind")?;
        match (kind, value) {
            ("taken", _) => {}
            ("endpoint", Some(value)) => {
                self.accounts.entry(name.to_owned()).or_default().insert(partition, read(value)?);
            }
            ("endpoint", None) => drop(self.accounts.entry(name.to_owned()).or_default().remove(&partition)),
            ("owed", value) => {
                let (name, id) = name.split_once('/').ok_or("a delivery has an id")?;
                let owed = value.map(read::<Owed>).transpose()?;
                self.delivery(name, id, owed);
            }
            _ => return Err("no such kind".to_owned()),
        }
        Ok(())
    }

    fn delivery(&mut self, name: &str, id: &str, owed: Option<Owed>) {
        let standing = self.owed.entry(name.to_owned()).or_default();
        let Some(owed) = owed else {
            standing.remove(id);
            return;
        };
        let mut hasher = DefaultHasher::new();
        owed.members.iter().for_each(|member| member.id.hash(&mut hasher));
        let digest = hasher.finish();
        let held = self.held.entry(name.to_owned()).or_default();
        if *held.entry(id.into()).or_insert(digest) != digest {
            self.changed.entry(name.to_owned()).or_default().insert(id.to_owned());
        }
        standing.insert(id.to_owned(), owed);
    }

    /// Records that are none of a ledger.
    pub fn unreadable(&self) -> impl Iterator<Item = &str> {
        self.unreadable.iter().map(String::as_str)
    }

    fn of(&self, name: &str) -> impl Iterator<Item = (&str, &Owed)> {
        self.owed.get(name).into_iter().flatten().map(|(id, owed)| (id.as_str(), owed))
    }

    /// Alerts of deliveries that are made out and wait, or of those that failed for good.
    pub fn members<'a>(&'a self, name: &str, failed: bool) -> impl Iterator<Item = &'a str> {
        let deliveries = self.of(name).filter(move |(_, owed)| (owed.stage == "failed") == failed);
        deliveries.flat_map(|(_, owed)| owed.members.iter().map(|member| member.id.as_str()))
    }

    /// How many deliveries failed for good.
    pub fn failed_deliveries(&self, name: &str) -> u64 {
        self.of(name).filter(|(_, owed)| owed.stage == "failed").count() as u64
    }

    /// Each alert that stands in a batch, with the batch's id.
    pub fn batches<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let formed = self.of(name).filter(|(_, owed)| owed.stage != "gathering");
        formed.flat_map(|(id, owed)| owed.members.iter().map(move |member| (member.id.as_str(), id)))
    }

    /// The alerts of a delivery that stands in the ledger.
    pub fn owed<'a>(&'a self, name: &str, id: &str) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        let owed = self.owed.get(name)?.get(id)?;
        Some(owed.members.iter().map(|member| member.id.as_str()))
    }

    /// What is owed in ranges.
    pub fn ranges(&self, name: &str) -> impl Iterator<Item = Ranged> {
        let accounts = self.accounts.get(name).into_iter().flatten();
        accounts.flat_map(|(partition, account)| {
            let ranged = |range: &Range| Ranged { count: range.count, partition: *partition, range: *range };
            account.ranges.iter().map(ranged)
        })
    }

    /// Whether a delivery ever stood here.
    pub fn held(&self, name: &str, id: &str) -> bool {
        self.held.get(name).is_some_and(|held| held.contains_key(id))
    }

    /// Deliveries whose members did not stay what they were.
    pub fn changed(&self, name: &str) -> impl Iterator<Item = &str> {
        self.changed.get(name).into_iter().flatten().map(String::as_str)
    }
}

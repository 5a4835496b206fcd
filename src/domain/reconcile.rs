//! What somebody wants told again, and the places in lists by which a receiver finds what it missed.

use std::str::FromStr;

use super::desk::CursorError;
use super::time::Timestamp;

/// What is to be told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// One alert, by its id or by that of a delivery of it.
    One(String),
    /// Everything that failed for good.
    Failed,
    /// Every alert that was written in a time.
    Written {
        /// From this time on.
        since: Timestamp,
        /// … and before this one, where one is set.
        until: Option<Timestamp>,
    },
}

/// The place of a delivery in a list that is in order of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryPlace {
    /// When it is due, or since when it is owed.
    pub at: Timestamp,
    /// The id of the delivery.
    pub id: String,
    /// The partition of its alerts.
    pub partition: i32,
}

impl DeliveryPlace {
    /// The place in a form for addresses.
    pub fn cursor(&self) -> String {
        encode(&format!("d {} {} {}", self.at.millis(), self.partition, self.id))
    }
}

impl FromStr for DeliveryPlace {
    type Err = CursorError;

    fn from_str(cursor: &str) -> Result<Self, CursorError> {
        let text = decode(cursor)?;
        let parts: Vec<&str> = text.split(' ').collect();
        let ["d", at, partition, id] = parts[..] else { return Err(CursorError) };
        Ok(DeliveryPlace { at: Timestamp(number(at)?), id: id.to_owned(), partition: number(partition)? })
    }
}

/// How far a walk over alerts has come: partitions before this one are done. When it ends is decided at its beginning,
/// so that it comes to an end however much is written meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkPlace {
    /// The partition.
    pub partition: i32,
    /// The next offset in it; `None` where it has not been begun.
    pub offset: Option<i64>,
    /// The time before which alerts are asked for.
    pub until: Timestamp,
}

impl WalkPlace {
    /// The place in a form for addresses.
    pub fn cursor(&self) -> String {
        encode(&format!("w {} {} {}", self.until.millis(), self.partition, self.offset.unwrap_or(-1)))
    }
}

impl FromStr for WalkPlace {
    type Err = CursorError;

    fn from_str(cursor: &str) -> Result<Self, CursorError> {
        let text = decode(cursor)?;
        let parts: Vec<&str> = text.split(' ').collect();
        let ["w", until, partition, offset] = parts[..] else { return Err(CursorError) };
        let (partition, offset): (i32, i64) = (number(partition)?, number(offset)?);
        if partition < 0 {
            return Err(CursorError);
        }
        Ok(WalkPlace { partition, offset: (offset >= 0).then_some(offset), until: Timestamp(number(until)?) })
    }
}

fn number<T: FromStr>(text: &str) -> Result<T, CursorError> {
    text.parse().map_err(|_| CursorError)
}

fn encode(text: &str) -> String {
    data_encoding::BASE64URL_NOPAD.encode(text.as_bytes())
}

fn decode(cursor: &str) -> Result<String, CursorError> {
    let bytes = data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).map_err(|_| CursorError)?;
    String::from_utf8(bytes).map_err(|_| CursorError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_the_place_it_was_made_of_and_nothing_else_is_one() {
        let delivery = DeliveryPlace { at: Timestamp(5), id: "alr_x-1".to_owned(), partition: 3 };
        assert_eq!(delivery.cursor().parse(), Ok(delivery.clone()));
        for offset in [None, Some(0), Some(7)] {
            let walk = WalkPlace { partition: 2, offset, until: Timestamp(1_000) };
            assert_eq!(walk.cursor().parse(), Ok(walk));
            assert_eq!(walk.cursor().parse::<DeliveryPlace>(), Err(CursorError));
        }
        assert_eq!(delivery.cursor().parse::<WalkPlace>(), Err(CursorError));
        for text in ["", "x", "4242424242424242", &encode("w 1 -1 0"), &encode("w 1 1"), &encode("d x 0 y")] {
            assert_eq!(text.parse::<WalkPlace>(), Err(CursorError), "{text}");
            assert_eq!(text.parse::<DeliveryPlace>(), Err(CursorError), "{text}");
        }
    }
}

//! Codes of houses and of ISO 8583, and the words they stand for.

use std::collections::BTreeMap;

use super::field::Field;

/// A table that comes with cardwatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// ISO 8583, and the one-letter results that the card networks carry in it.
    Iso8583,
}

impl Preset {
    /// The word in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Preset::Iso8583 => "iso8583",
        }
    }

    /// The preset of a word, if it is one.
    pub fn from_word(word: &str) -> Option<Preset> {
        (word == "iso8583").then_some(Preset::Iso8583)
    }

    /// Whether there is a table for `field`.
    pub fn has(self, field: Field) -> bool {
        reader_of(field).is_some()
    }
}

/// Reads a code; `is_number` tells that it was a JSON number, whose leading zeros are lost.
type CodeReader = fn(code: &str, is_number: bool) -> Option<&'static str>;

fn reader_of(field: Field) -> Option<CodeReader> {
    match field {
        Field::Kind => Some(kind),
        Field::Outcome => Some(outcome),
        Field::Channel => Some(channel),
        Field::Credential => Some(credential),
        Field::Cvv => Some(|code, _| cvv(code)),
        Field::Avs => Some(|code, _| avs(code)),
        Field::ThreeDs => Some(three_ds),
        _ => None,
    }
}

/// The tables of one field, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Codes {
    values: BTreeMap<String, String>,
    preset: Option<CodeReader>,
    default: Option<String>,
}

impl Codes {
    pub(super) fn new(
        field: Field,
        values: &BTreeMap<String, String>,
        preset: Option<Preset>,
        default: Option<&String>,
    ) -> Codes {
        let preset = preset.and_then(|_| reader_of(field));
        Codes { values: values.clone(), preset, default: default.cloned() }
    }

    /// The word for a code, if a table has it.
    pub(super) fn word(&self, code: &str, is_number: bool) -> Option<&str> {
        self.values.get(code).map(String::as_str).or_else(|| (self.preset?)(code, is_number))
    }

    /// The word for a code that nothing else reads.
    pub(super) fn default(&self) -> Option<&str> {
        self.default.as_deref()
    }
}

/// Message type (four digits) or processing code (six): which of the two it is, its length tells.
fn kind(code: &str, is_number: bool) -> Option<&'static str> {
    if !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match (code.len(), is_number) {
        (4, _) => kind_of_message(code),
        (3, true) => kind_of_message(&format!("0{code}")),
        (6, _) => kind_of_processing(code),
        (1 | 2 | 5, true) => kind_of_processing(&format!("{code:0>6}")),
        _ => None,
    }
}

/// Version, class, function, origin (ISO 8583 section 4.1). A financial *request* is authorized there and then;
/// an advice or notification of one is what clears an earlier authorization.
fn kind_of_message(code: &str) -> Option<&'static str> {
    match code.as_bytes()[1..3] {
        [b'1', _] | [b'2', b'0' | b'1'] => Some("authorization"),
        [b'2', _] => Some("clearing"),
        [b'4', _] => Some("reversal"),
        _ => None,
    }
}

/// The first two digits: debits, credits, inquiries, transfers.
fn kind_of_processing(code: &str) -> Option<&'static str> {
    match code.as_bytes()[0] {
        b'0' | b'1' | b'4' | b'5' => Some("authorization"),
        b'2' => Some("refund"),
        b'3' => Some("account_check"),
        _ => None,
    }
}

/// How much a kind says: with several codes in one record (a message type and a processing code) what is no plain
/// authorization wins.
pub(super) fn weight_of_kind(word: &str) -> u8 {
    match word {
        "reversal" => 4,
        "refund" | "account_check" => 3,
        "clearing" => 2,
        "authorization" => 1,
        _ => 0,
    }
}

/// Response code, field 39: two characters (1987), or three digits (1993, 2003).
fn outcome(code: &str, is_number: bool) -> Option<&'static str> {
    let padded = if is_number && code.len() == 1 { format!("0{code}") } else { code.to_owned() };
    let plain = padded.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    match padded.len() {
        2 if plain => Some(match padded.as_str() {
            // Approved; with identification; in part; VIP; update the stripe; nothing to decline; without cash.
            "00" | "08" | "10" | "11" | "16" | "85" | "87" => "approved",
            _ => "declined",
        }),
        3 if plain => match padded.as_bytes()[0] {
            b'0' => Some("approved"),
            b'1' | b'2' | b'9' => Some("declined"),
            _ => None,
        },
        _ => None,
    }
}

/// The two digits of a POS entry mode, field 22, that say how the card's number came in; a third says what the
/// terminal could do with a PIN.
fn entry_mode(code: &str, is_number: bool) -> Option<String> {
    if !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let known = |mode: &str| credential_of_mode(mode).is_some();
    match code.len() {
        2 if is_number && !known(code) => Some(format!("0{}", &code[..1])),
        2 => Some(code.to_owned()),
        3 => Some(code[..2].to_owned()),
        4 if code.starts_with('0') => Some(code[1..3].to_owned()),
        1 if is_number => Some(format!("0{code}")),
        _ => None,
    }
}

fn credential_of_mode(mode: &str) -> Option<&'static str> {
    Some(match mode {
        "01" | "06" | "79" | "81" => "keyed",
        "02" | "80" | "90" => "magstripe",
        "05" | "95" => "chip",
        "07" | "91" => "contactless",
        "10" | "82" => "stored",
        // Unknown; bar code; optical; the networks' remote commerce, where it may be any of several.
        "00" | "03" | "04" | "09" => "unknown",
        _ => return None,
    })
}

fn credential(code: &str, is_number: bool) -> Option<&'static str> {
    credential_of_mode(&entry_mode(code, is_number)?)
}

/// Typed in and stored numbers may come from a shop, a telephone or the web: the entry mode does not say.
fn channel(code: &str, is_number: bool) -> Option<&'static str> {
    Some(match entry_mode(code, is_number)?.as_str() {
        "02" | "03" | "04" | "05" | "07" | "79" | "80" | "90" | "91" | "95" => "pos",
        "09" | "81" => "ecom",
        "00" | "01" | "06" | "10" | "82" => "unknown",
        _ => return None,
    })
}

/// CVV2 result.
fn cvv(code: &str) -> Option<&'static str> {
    Some(match code {
        "M" | "Y" => "match",
        "N" => "no_match",
        "S" => "absent",
        "P" | "U" => "unknown",
        _ => return None,
    })
}

/// Address verification result.
fn avs(code: &str) -> Option<&'static str> {
    Some(match code {
        "D" | "F" | "M" | "X" | "Y" => "match",
        "A" | "B" | "P" | "W" | "Z" => "partial",
        "N" => "no_match",
        "C" | "E" | "G" | "I" | "R" | "S" | "U" => "unknown",
        _ => return None,
    })
}

/// Electronic commerce indicator: Visa's and JCB's from 5, Mastercard's from 0.
fn three_ds(code: &str, _: bool) -> Option<&'static str> {
    Some(match code.strip_prefix('0').filter(|rest| !rest.is_empty()).unwrap_or(code) {
        "5" | "2" => "authenticated",
        "6" | "1" => "attempted",
        "7" | "0" => "none",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::field::Class;

    #[test]
    fn iso_8583_codes_stand_for_their_words() {
        use Field::*;
        for (field, code, is_number, want) in [
            (Kind, "0100", false, Some("authorization")),
            (Kind, "1100", false, Some("authorization")),
            (Kind, "100", true, Some("authorization")),
            (Kind, "0120", false, Some("authorization")),
            (Kind, "0200", false, Some("authorization")),
            (Kind, "0220", false, Some("clearing")),
            (Kind, "1240", false, Some("clearing")),
            (Kind, "0420", false, Some("reversal")),
            (Kind, "0800", false, None),
            (Kind, "000000", false, Some("authorization")),
            (Kind, "0", true, Some("authorization")),
            (Kind, "200030", false, Some("refund")),
            (Kind, "310000", true, Some("account_check")),
            (Kind, "900000", false, None),
            (Kind, "100", false, None),
            (Kind, "01A0", false, None),
            (Outcome, "00", false, Some("approved")),
            (Outcome, "0", true, Some("approved")),
            (Outcome, "0", false, None),
            (Outcome, "10", false, Some("approved")),
            (Outcome, "05", false, Some("declined")),
            (Outcome, "5", true, Some("declined")),
            (Outcome, "N7", false, Some("declined")),
            (Outcome, "000", false, Some("approved")),
            (Outcome, "116", false, Some("declined")),
            (Outcome, "400", false, None),
            (Outcome, "n7", false, None),
            (Channel, "81", false, Some("ecom")),
            (Channel, "812", true, Some("ecom")),
            (Channel, "051", false, Some("pos")),
            (Channel, "51", true, Some("pos")),
            (Channel, "51", false, None),
            (Channel, "0810", false, Some("ecom")),
            (Channel, "01", false, Some("unknown")),
            (Channel, "66", false, None),
            (Credential, "81", true, Some("keyed")),
            (Credential, "071", false, Some("contactless")),
            (Credential, "7", true, Some("contactless")),
            (Credential, "10", false, Some("stored")),
            (Credential, "901", false, Some("magstripe")),
            (Credential, "", false, None),
            (Cvv, "M", false, Some("match")),
            (Cvv, "S", false, Some("absent")),
            (Avs, "Z", false, Some("partial")),
            (Avs, "0", false, None),
            (ThreeDs, "05", false, Some("authenticated")),
            (ThreeDs, "1", true, Some("attempted")),
            (ThreeDs, "0", true, Some("none")),
        ] {
            let read = reader_of(field).unwrap();
            assert_eq!(read(code, is_number), want, "{field:?} {code}");
        }
        for &field in Field::ALL {
            assert!(!Preset::Iso8583.has(field) || matches!(field.class(), Class::Word(_)), "{field:?}");
        }
    }

    #[test]
    fn every_code_of_a_table_is_a_word_of_its_field() {
        let codes = (0..10_000).flat_map(|n| [2, 3, 4, 6].map(|width| format!("{n:0width$}")));
        for code in codes.chain((b'A'..=b'Z').map(|letter| char::from(letter).to_string())) {
            for &field in Field::ALL {
                let (Class::Word(words), Some(read)) = (field.class(), reader_of(field)) else { continue };
                for is_number in [false, true] {
                    assert!(
                        read(&code, is_number).is_none_or(|word| words.contains(&word)),
                        "{field:?} {code}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_house_s_own_codes_win_over_the_preset() {
        let own = BTreeMap::from([("81".to_owned(), "moto".to_owned())]);
        let codes = Codes::new(Field::Channel, &own, Some(Preset::Iso8583), Some(&"atm".to_owned()));
        assert_eq!(codes.word("81", false), Some("moto"));
        assert_eq!(codes.word("05", false), Some("pos"));
        assert_eq!(codes.word("ZZ", false), None);
        assert_eq!(codes.default(), Some("atm"));
    }
}

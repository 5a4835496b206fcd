//! Cards: the number that lives for one event, the token, the fingerprint, the name of a key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

/// The longest card number ISO/IEC 7812-1 allows, in digits.
pub const CARD_NUMBER_DIGITS_MAX: usize = 19;
/// The shortest number accepted, in digits.
pub const CARD_NUMBER_DIGITS_MIN: usize = 8;
/// The longest opaque token accepted, in bytes.
pub const TOKEN_BYTES_MAX: usize = 128;

/// Why a text is not a card number. Carries nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardNumberError {
    /// Nothing but separators.
    #[error("empty")]
    Empty,
    /// Something that is neither a digit nor a space or dash between digits.
    #[error("not made of digits")]
    NotDigits,
    /// Fewer than 8 or more than 19 digits.
    #[error("not 8 to 19 digits long")]
    Length,
}

/// A normalised card number: digits only.
///
/// It lives for one event. It is not `Clone`, `Display` or `Serialize`, its `Debug` shows nothing, and
/// its memory is wiped when it is dropped.
pub struct CardNumber {
    digits: [u8; CARD_NUMBER_DIGITS_MAX],
    len: u8,
}

impl CardNumber {
    /// Normalises `text`: digits, with spaces and dashes anywhere between them.
    ///
    /// # Errors
    /// [`CardNumberError`] says why the text is no card number, without repeating it.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<CardNumber, CardNumberError> {
        let mut number = CardNumber { digits: [0; CARD_NUMBER_DIGITS_MAX], len: 0 };
        // The usual text: digits alone. No early end, so that the compiler looks at many at once.
        if (CARD_NUMBER_DIGITS_MIN..=CARD_NUMBER_DIGITS_MAX).contains(&text.len())
            && text.iter().fold(true, |all, byte| all & byte.is_ascii_digit())
        {
            number.digits[..text.len()].copy_from_slice(text);
            number.len = text.len() as u8;
            return Ok(number);
        }
        let mut len = 0usize;
        for &byte in text {
            match byte {
                b'0'..=b'9' => {
                    if len == CARD_NUMBER_DIGITS_MAX {
                        return Err(CardNumberError::Length);
                    }
                    number.digits[len] = byte;
                    len += 1;
                }
                b' ' | b'-' => {}
                _ => return Err(CardNumberError::NotDigits),
            }
        }
        match len {
            0 => Err(CardNumberError::Empty),
            CARD_NUMBER_DIGITS_MIN..=CARD_NUMBER_DIGITS_MAX => {
                number.len = len as u8;
                Ok(number)
            }
            _ => Err(CardNumberError::Length),
        }
    }

    /// The ASCII digits. The caller must not keep them.
    #[inline]
    pub fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.len)]
    }

    /// Whether the check digit is right (ISO/IEC 7812-1 annex B, the Luhn formula).
    pub fn passes_luhn(&self) -> bool {
        let sum: u32 = self
            .digits()
            .iter()
            .rev()
            .enumerate()
            .map(|(place, digit)| {
                let value = u32::from(digit - b'0');
                match (place % 2, value) {
                    (0, value) => value,
                    (_, value @ 0..=4) => value * 2,
                    (_, value) => value * 2 - 9,
                }
            })
            .sum();
        sum.is_multiple_of(10)
    }
}

impl Drop for CardNumber {
    fn drop(&mut self) {
        // As a slice: an array would be wiped byte by byte.
        self.digits[..].zeroize();
        self.len.zeroize();
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardNumber(withheld)")
    }
}

/// What stands in a card field of the input, or in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardKind {
    /// A card number.
    Number,
    /// The number of the card behind a wallet's own number: a card number like any other.
    FundingNumber,
    /// An opaque token, compared byte for byte.
    Token,
    /// What stays the same when a card is replaced (the EMVCo payment account reference, or the house's own),
    /// compared byte for byte. Not account data: it may be shown.
    AccountReference,
    /// A fingerprint that upstream made with the same key.
    Fingerprint,
}

impl CardKind {
    /// The word used in configuration and records.
    pub fn as_str(self) -> &'static str {
        match self {
            CardKind::Number => "number",
            CardKind::FundingNumber => "funding_number",
            CardKind::Token => "token",
            CardKind::AccountReference => "account_reference",
            CardKind::Fingerprint => "fingerprint",
        }
    }
}

/// The keyed hash of a normalised card number or token: HMAC-SHA-256, 32 bytes, lower-case hex in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

/// A text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint: 64 hexadecimal digits are expected")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let mut bytes = [0u8; 32];
        if text.len() != 64 {
            return Err(FingerprintError);
        }
        data_encoding::HEXLOWER_PERMISSIVE
            .decode_mut(text.as_bytes(), &mut bytes)
            .map_err(|_| FingerprintError)?;
        Ok(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 64];
        data_encoding::HEXLOWER.encode_mut(&self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a fingerprint key: 1 to 32 of `a-z`, `0-9`, `-`, `_`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(std::sync::Arc<str>);

/// A text is not a key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key id: 1 to 32 of a-z, 0-9, - and _ are expected")]
pub struct KeyIdError;

impl KeyId {
    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` is 1 to `max` of `a-z`, `0-9`, `-`, `_`: the alphabet of every id that people choose.
pub fn is_slug(text: &str, max: usize) -> bool {
    !text.is_empty()
        && text.len() <= max
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

impl FromStr for KeyId {
    type Err = KeyIdError;
    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        if is_slug(text, 32) { Ok(KeyId(text.into())) } else { Err(KeyIdError) }
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;
    fn try_from(text: String) -> Result<Self, KeyIdError> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn card_numbers_are_normalised_and_bad_ones_refused() {
        for (text, want) in [
            ("4242 4242 4242 4242", Ok("4242424242424242")),
            ("4242-4242-4242-4242", Ok("4242424242424242")),
            ("30324474562566", Ok("30324474562566")),
            ("12345678", Ok("12345678")),
            ("1234567890123456789", Ok("1234567890123456789")),
            ("1234567", Err(CardNumberError::Length)),
            ("12345678901234567890", Err(CardNumberError::Length)),
            ("", Err(CardNumberError::Empty)),
            (" - ", Err(CardNumberError::Empty)),
            ("4242x4242", Err(CardNumberError::NotDigits)),
            ("４２４２４２４２", Err(CardNumberError::NotDigits)),
        ] {
            let got = CardNumber::parse(text.as_bytes());
            match want {
                Ok(digits) => assert_eq!(got.unwrap().digits(), digits.as_bytes(), "{text}"),
                Err(error) => assert_eq!(got.unwrap_err(), error, "{text}"),
            }
        }
    }

    #[test]
    fn the_check_digit_decides_luhn() {
        for (text, good) in [
            ("4242424242424242", true),
            ("378282246310005", true),
            ("3056930009020004", true),
            ("4222222222222", true),
            ("4242424242424241", false),
            ("76009244561", false),
        ] {
            assert_eq!(CardNumber::parse(text.as_bytes()).unwrap().passes_luhn(), good, "{text}");
        }
    }

    #[test]
    fn a_card_number_shows_nothing_when_debugged() {
        let number = CardNumber::parse(b"4242424242424242").unwrap();
        assert_eq!(format!("{number:?}"), "CardNumber(withheld)");
    }

    proptest! {
        #[test]
        fn separators_never_change_the_number(digits in "[0-9]{8,19}", gaps in proptest::collection::vec(0usize..3, 19)) {
            let mut spaced = String::new();
            for (digit, gap) in digits.chars().zip(gaps) {
                spaced.push(digit);
                spaced.push_str(["", " ", "-"][gap]);
            }
            let plain = CardNumber::parse(digits.as_bytes()).unwrap();
            let with_gaps = CardNumber::parse(spaced.as_bytes()).unwrap();
            prop_assert_eq!(plain.digits(), with_gaps.digits());
        }

        #[test]
        fn fingerprints_survive_their_text(bytes in any::<[u8; 32]>()) {
            let fingerprint = Fingerprint(bytes);
            prop_assert_eq!(fingerprint.to_string().parse::<Fingerprint>().unwrap(), fingerprint);
            let json = serde_json::to_string(&fingerprint).unwrap();
            prop_assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), fingerprint);
        }
    }
}

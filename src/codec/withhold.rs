//! Whether a text repeats the event's own card.

use zeroize::Zeroizing;

use super::card::CardField;

impl CardField<'_> {
    /// Whether `text` contains this card: the number's digits in order, with anything but letters between
    /// them, or the token's bytes. A fingerprint and an account reference lead to no number and are never withheld.
    pub fn appears_in(&self, text: &str) -> bool {
        match self {
            CardField::Number(number) | CardField::FundingNumber(number) => {
                contains_digits(text, number.digits())
            }
            CardField::Token(token) => memchr::memmem::find(text.as_bytes(), token.bytes()).is_some(),
            CardField::AccountReference(_) | CardField::Fingerprint { .. } => false,
        }
    }
}

fn contains_digits(text: &str, digits: &[u8]) -> bool {
    if text.len() < digits.len() {
        return false;
    }
    // Digits and, for anything that would break a number up, one letter: what is left is searched plainly.
    let mut bare = Zeroizing::new(Vec::with_capacity(text.len()));
    for char in text.chars() {
        match char {
            '0'..='9' => bare.push(char as u8),
            // Full-width digits, as Japanese systems write them.
            '０'..='９' => bare.push(b'0' + (u32::from(char) - u32::from('０')) as u8),
            _ if char.is_alphanumeric() => bare.push(b'x'),
            _ => {}
        }
    }
    memchr::memmem::find(&bare, digits).is_some()
}

//! Card numbers that belong to nobody: made from the seed under prefixes that payment providers publish
//! for testing.

use std::fmt;

/// Prefixes of numbers that payment providers publish for testing, with the length of the whole number.
const PREFIXES: [(&[u8], usize); 6] =
    [(b"424242", 16), (b"400000", 16), (b"555555", 16), (b"222300", 16), (b"356600", 16), (b"378282", 15)];

/// The text of a simulated card number. Like a real one it shows nothing when debugged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NumberText {
    digits: [u8; 16],
    len: u8,
}

impl NumberText {
    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Debug for NumberText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberText(withheld)")
    }
}

/// The number of the card with this index. Two cards of one world never share a number.
pub(super) fn number(seed: u64, index: u32) -> NumberText {
    let (prefix, len) = PREFIXES[index as usize % PREFIXES.len()];
    let account_digits = len - prefix.len() - 1;
    let space = 10u64.pow(account_digits as u32);
    // A multiplier without the factors 2 and 5 maps the numbers below a power of ten onto themselves.
    let place = u64::from(index) / PREFIXES.len() as u64;
    let account = (place % space * 61_803_399 + mix(seed) % space) % space;

    let mut digits = [0u8; 16];
    digits[..prefix.len()].copy_from_slice(prefix);
    let mut rest = account;
    for digit in digits[prefix.len()..len - 1].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits[len - 1] = check_digit(&digits[..len - 1]);
    NumberText { digits, len: len as u8 }
}

/// The digit that makes `digits` followed by it pass the Luhn formula (ISO/IEC 7812-1 annex B).
fn check_digit(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0') << (1 - place % 2);
            value / 10 + value % 10
        })
        .sum();
    b'0' + ((10 - sum % 10) % 10) as u8
}

/// A permutation of the 64-bit numbers that leaves no pattern to see (the finisher of SplitMix64).
pub(super) fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::card::CardNumber;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn every_number_passes_luhn(seed in any::<u64>(), index in 0u32..100_000_000) {
            let text = number(seed, index);
            prop_assert!(CardNumber::parse(text.as_str().as_bytes()).unwrap().passes_luhn());
            prop_assert!(matches!(text.as_str().len(), 15 | 16));
        }
    }

    #[test]
    fn no_two_cards_share_a_number() {
        let numbers: HashSet<String> =
            (0..50_000).map(|index| number(7, index).as_str().to_owned()).collect();
        assert_eq!(numbers.len(), 50_000);
    }

    #[test]
    fn a_simulated_number_shows_nothing_when_debugged() {
        assert_eq!(format!("{:?}", number(1, 2)), "NumberText(withheld)");
    }
}

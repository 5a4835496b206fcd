//! The shape of a value: what it looks like, with every digit a 9 and every letter an A.

use zeroize::Zeroizing;

use crate::codec::json::{self, Slot};

/// The longest shape shown, in characters.
const SHAPE_CHARS_MAX: usize = 48;

/// The shape of what stands at a place; `None` where nothing does. Text is in quotes, numbers are bare.
pub(super) fn of(slot: Slot<'_>) -> Option<String> {
    let raw = match slot {
        Slot::Absent | Slot::Found("null" | "\"\"") => return None,
        Slot::Twice => return Some("(there twice)".to_owned()),
        Slot::Broken => return Some("(behind a name that cannot be read)".to_owned()),
        Slot::Found(raw) => raw,
    };
    Some(match raw.as_bytes().first() {
        Some(b'"') => {
            let mut text = Zeroizing::new(String::new());
            match json::inside_quotes(raw).map(|inside| json::unescape(inside, &mut text)) {
                Some(Ok(())) => format!("\"{}\"", mask(&text)),
                _ => "(text with a broken escape)".to_owned(),
            }
        }
        Some(b't' | b'f') => "true or false".to_owned(),
        Some(b'{') => "(object)".to_owned(),
        Some(b'[') => "(array)".to_owned(),
        _ => mask_number(raw),
    })
}

/// In a number the letter is that of an exponent.
fn mask_number(raw: &str) -> String {
    mask(raw).replace('A', "e")
}

fn mask(text: &str) -> String {
    let mut shape: String = text.chars().take(SHAPE_CHARS_MAX).map(mask_char).collect();
    if text.chars().nth(SHAPE_CHARS_MAX).is_some() {
        shape.push('…');
    }
    shape
}

fn mask_char(char: char) -> char {
    match char {
        _ if char.is_numeric() => '9',
        _ if char.is_alphabetic() => 'A',
        ' '..='~' => char,
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_shape_tells_form_and_no_content() {
        for (raw, want) in [
            ("\"4242 4242-4242\"", "\"9999 9999-9999\""),
            ("\"2018-06-05T14:40:15+09:00\"", "\"9999-99-99A99:99:99+99:99\""),
            ("\"東京 タワー①\"", "\"AA AAA9\""),
            (r#""\u0034\u00e9 x""#, "\"9A A\""),
            ("-12.50", "-99.99"),
            ("1e5", "9e9"),
            ("true", "true or false"),
            ("{\"a\":1}", "(object)"),
            ("[1]", "(array)"),
            ("\"\u{1f600}\"", "\"?\""),
        ] {
            assert_eq!(of(Slot::Found(raw)).as_deref(), Some(want), "{raw}");
        }
        assert_eq!(of(Slot::Found("null")), None);
        assert_eq!(of(Slot::Found("\"\"")), None);
        let long = of(Slot::Found(&format!("\"{}\"", "x".repeat(500)))).unwrap();
        assert_eq!(long.chars().count(), SHAPE_CHARS_MAX + 3);
    }

    proptest! {
        #[test]
        fn no_digit_and_no_letter_of_a_value_is_in_its_shape(text in "\\PC{0,60}") {
            let raw = serde_json::to_string(&text).unwrap();
            let shape = of(Slot::Found(&raw)).unwrap_or_default();
            prop_assert!(shape.chars().all(|c| !c.is_numeric() && !c.is_alphabetic() || matches!(c, '9' | 'A')));
        }
    }
}

//! Text that is safe and easy to read.

/// `text` without what a terminal would obey: control characters and changes of writing direction become `�`.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `text` in Markdown: nothing in it is markup.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in plain(text).chars() {
        if matches!(char, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~') {
            safe.push('\\');
        }
        safe.push(char);
    }
    safe
}

/// Control characters (Unicode category Cc) and the explicit directional formatting characters of UAX #9.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A whole number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage with two digits that count, or a dash where there was nothing to share.
pub fn percent(share: Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(share) if share > 0.0 && share < 0.1 => format!("{:.2} %", share * 100.0),
        Some(share) => format!("{:.1} %", share * 100.0),
    }
}

/// A number with the word for one or for several.
pub fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_that_a_terminal_obeys_passes() {
        assert_eq!(plain("Aoba\u{1b}[2J Denki\r\n"), "Aoba\u{fffd}[2J Denki\u{fffd}\u{fffd}");
        assert_eq!(plain("\u{202e}gnp.exe\u{9b}1m"), "\u{fffd}gnp.exe\u{fffd}1m");
        assert_eq!(plain("青葉電器 Café"), "青葉電器 Café");
    }

    #[test]
    fn shares_and_numbers_read_as_people_write_them() {
        for (number, want) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (29_773, "29,773"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), want);
        }
        for (share, want) in [
            (None, "–"),
            (Some(0.0), "0.0 %"),
            (Some(0.0016), "0.16 %"),
            (Some(0.5), "50.0 %"),
            (Some(1.0), "100.0 %"),
        ] {
            assert_eq!(percent(share), want);
        }
    }

    proptest! {
        #[test]
        fn grouping_only_adds_commas(number in any::<u64>()) {
            prop_assert_eq!(grouped(number).replace(',', ""), number.to_string());
            prop_assert!(grouped(number).split(',').skip(1).all(|group| group.len() == 3));
        }
    }
}

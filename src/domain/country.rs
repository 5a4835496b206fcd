//! Countries: ISO 3166-1 codes in all three forms, as alpha-2.

/// The alpha-2 code (`JP`) of a country written as alpha-2, alpha-3 (`JPN`) or number (`392`, `"036"`), in any
/// case. The table is that of the `rust_iso3166` crate.
pub fn alpha2(text: &str) -> Option<&'static str> {
    let country = match text.len() {
        2 if letters(text) => rust_iso3166::from_alpha2(&text.to_ascii_uppercase()),
        3 if letters(text) => rust_iso3166::from_alpha3(&text.to_ascii_uppercase()),
        1..=3 if text.bytes().all(|b| b.is_ascii_digit()) => rust_iso3166::from_numeric(text.parse().ok()?),
        _ => None,
    };
    country.map(|country| country.alpha2)
}

fn letters(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_is_found_by_each_of_its_codes() {
        assert!(rust_iso3166::ALL.len() >= 249);
        for country in rust_iso3166::ALL {
            for text in [
                country.alpha2.to_owned(),
                country.alpha3.to_owned(),
                country.alpha3.to_lowercase(),
                country.numeric.to_string(),
                format!("{:03}", country.numeric),
            ] {
                assert_eq!(alpha2(&text), Some(country.alpha2), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_code_is_no_country() {
        for text in ["", "J", "JPNX", "ZZ", "QQQ", "999", "0392", "3.9", "日本", "é", "+39"] {
            assert_eq!(alpha2(text), None, "{text}");
        }
    }
}

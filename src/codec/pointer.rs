//! JSON Pointer (RFC 6901): the path from the top of a record to a value.

use std::fmt;
use std::str::FromStr;

/// The most steps of a pointer.
pub const POINTER_STEPS_MAX: usize = 16;

/// A path to a value below the top: at least one step.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Vec<String>);

/// Why a text is no pointer to a value below the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// The empty pointer means the whole record.
    #[error("empty, which means the whole record; write the path of a value, such as \"/card\"")]
    Whole,
    /// The first character is not a slash.
    #[error("does not start with a slash; write it as \"/merchant/id\"")]
    NoSlash,
    /// A tilde not followed by 0 or 1.
    #[error("has a tilde that is neither \"~0\" (a tilde) nor \"~1\" (a slash)")]
    Tilde,
    /// More than 16 steps.
    #[error("has more than 16 steps")]
    TooLong,
}

impl Pointer {
    /// The names, top first. A step into an array is the index in decimal.
    pub fn steps(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Pointer {
    type Err = PointerError;
    fn from_str(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Err(PointerError::Whole);
        }
        let rest = text.strip_prefix('/').ok_or(PointerError::NoSlash)?;
        let steps = rest.split('/').map(unescape_step).collect::<Result<Vec<_>, _>>()?;
        if steps.len() > POINTER_STEPS_MAX { Err(PointerError::TooLong) } else { Ok(Pointer(steps)) }
    }
}

fn unescape_step(step: &str) -> Result<String, PointerError> {
    let mut parts = step.split('~');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(PointerError::Tilde),
        };
        out.push(sign);
        out.push_str(rest);
    }
    Ok(out)
}

/// The index a step means in an array: decimal, without leading zeros (RFC 6901 section 4).
pub(super) fn array_index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|b| b.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    if plain { step.parse().ok() } else { None }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pointers_are_read_as_rfc_6901_says() {
        use PointerError::*;
        for (text, want) in [
            ("/card", Ok(vec!["card"])),
            ("/merchant/id", Ok(vec!["merchant", "id"])),
            ("/", Ok(vec![""])),
            ("/a//b", Ok(vec!["a", "", "b"])),
            ("/a~1b", Ok(vec!["a/b"])),
            ("/m~0n", Ok(vec!["m~n"])),
            ("/~01", Ok(vec!["~1"])),
            ("/0/card", Ok(vec!["0", "card"])),
            ("/カード番号", Ok(vec!["カード番号"])),
            ("", Err(Whole)),
            ("card", Err(NoSlash)),
            ("/a~", Err(Tilde)),
            ("/a~2", Err(Tilde)),
            ("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", Err(TooLong)),
        ] {
            let got = text.parse::<Pointer>();
            let want = want.map(|steps| steps.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(got.map(|pointer| pointer.steps().to_vec()), want, "{text}");
        }
    }

    #[test]
    fn array_indices_have_no_leading_zero_and_no_sign() {
        for (step, want) in
            [("0", Some(0)), ("10", Some(10)), ("01", None), ("-", None), ("+1", None), ("", None)]
        {
            assert_eq!(array_index(step), want, "{step}");
        }
    }

    proptest! {
        #[test]
        fn a_pointer_survives_its_text(steps in proptest::collection::vec("[a~/0-9é]{0,6}", 1..5)) {
            let pointer = Pointer(steps);
            prop_assert_eq!(pointer.to_string().parse::<Pointer>().unwrap(), pointer);
        }
    }
}

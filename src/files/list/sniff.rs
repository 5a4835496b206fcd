//! Guesses that are safe to make: how a list is written, which column holds the card.

use crate::domain::card::{CardKind, CardNumber, Fingerprint};
use crate::files::list::ListFormat;

/// Separators of CSV files, the likeliest first: spreadsheets of many countries write semicolons.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// Usual names of the card's column, in lower case, without spaces, dashes and underscores.
pub(super) fn usual_names(kind: CardKind) -> &'static [&'static str] {
    match kind {
        CardKind::Number | CardKind::FundingNumber => {
            &["pan", "cardnumber", "card", "cardno", "ccnum", "number"]
        }
        CardKind::Token => &["token", "cardtoken", "pantoken", "card"],
        CardKind::AccountReference => &["accountreference", "paymentaccountreference", "par", "account"],
        CardKind::Fingerprint => &["fingerprint"],
    }
}

/// Whether a header's cell is one of the usual names.
pub(super) fn is_usual_name(cell: &str, kind: CardKind) -> bool {
    let plain: String = cell
        .trim()
        .chars()
        .filter(|letter| !matches!(letter, ' ' | '-' | '_'))
        .flat_map(char::to_lowercase)
        .collect();
    usual_names(kind).contains(&plain.as_str())
}

/// Whether bytes are a card of a kind beyond doubt. Of a token there is always doubt.
pub(super) fn is_card(cell: &[u8], kind: CardKind) -> bool {
    match kind {
        CardKind::Number | CardKind::FundingNumber => CardNumber::parse(cell.trim_ascii()).is_ok(),
        CardKind::Token | CardKind::AccountReference => false,
        CardKind::Fingerprint => {
            std::str::from_utf8(cell.trim_ascii()).is_ok_and(|text| text.parse::<Fingerprint>().is_ok())
        }
    }
}

/// The format of a list, by its name, and where that does not tell, by its first line.
pub(super) fn format(name: &str, head: &[u8], kind: CardKind) -> ListFormat {
    let name = name.to_ascii_lowercase();
    let name = [".gz", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    match name.rsplit_once('.') {
        Some((_, "csv" | "tsv")) => return ListFormat::Csv,
        Some((_, "jsonl" | "ndjson")) => return ListFormat::Jsonl,
        _ => {}
    }
    let line = first_line(head);
    let is_header =
        || std::str::from_utf8(line).is_ok_and(|line| is_usual_name(line.trim_matches('"'), kind));
    if line.starts_with(b"{") {
        ListFormat::Jsonl
    } else if line.iter().any(|byte| SEPARATORS.contains(byte)) || is_header() {
        ListFormat::Csv
    } else {
        ListFormat::Lines
    }
}

/// The separator of a CSV list: the one that its first line has most of.
pub(super) fn separator(head: &[u8]) -> u8 {
    let line = first_line(head);
    let count = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
    // Of equals, `max_by_key` takes the last, and the likeliest is the first.
    SEPARATORS.into_iter().rev().max_by_key(|separator| count(*separator)).unwrap_or(b',')
}

fn first_line(head: &[u8]) -> &[u8] {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let end = head.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(head.len());
    head[..end].trim_ascii_end()
}

/// Whether a text is a number as spreadsheets round long ones: `4.24242E+15`, with comma or point.
pub(super) fn is_rounded(text: &[u8]) -> bool {
    let Some(exponent) = text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')) else { return false };
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let (mantissa, exponent) = (&text[..exponent], &text[exponent + 1..]);
    let mut parts = mantissa.split(|byte| matches!(byte, b'.' | b','));
    let whole = parts.next().is_some_and(digits);
    whole
        && parts.next().is_none_or(digits)
        && parts.next().is_none()
        && digits(exponent.strip_prefix(b"+").unwrap_or(exponent))
}

/// Whether bytes contain a card number's digits in their order, whatever separates them.
pub(super) fn contains_number(bytes: &[u8], number: &CardNumber) -> bool {
    let wanted = number.digits();
    let digits = || bytes.iter().filter(|byte| byte.is_ascii_digit());
    let count = digits().count();
    (0..(count + 1).saturating_sub(wanted.len()))
        .any(|start| digits().skip(start).take(wanted.len()).eq(wanted))
}

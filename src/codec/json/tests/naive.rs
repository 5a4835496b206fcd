//! The grammar of RFC 8259, rule by rule, as slow as it is plain.

type Rest<'a> = Option<&'a [u8]>;

pub(super) fn is_json(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok() && element(value).is_some_and(<[u8]>::is_empty)
}

fn white(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|b| !b" \t\n\r".contains(b)).unwrap_or(value.len());
    &value[end..]
}

fn element(value: &[u8]) -> Rest<'_> {
    let value = white(value);
    let rest = match value.first()? {
        b'{' => list(&value[1..], b'}', |member| {
            let rest = white(string(white(member))?).strip_prefix(b":")?;
            element(rest)
        }),
        b'[' => list(&value[1..], b']', element),
        b'"' => string(value),
        b't' => value.strip_prefix(b"true"),
        b'f' => value.strip_prefix(b"false"),
        b'n' => value.strip_prefix(b"null"),
        _ => number(value),
    };
    rest.map(white)
}

fn list(value: &[u8], end: u8, item: fn(&[u8]) -> Rest<'_>) -> Rest<'_> {
    if let [first, rest @ ..] = white(value)
        && *first == end
    {
        return Some(rest);
    }
    let mut value = value;
    loop {
        match white(item(value)?) {
            [b',', rest @ ..] => value = rest,
            [last, rest @ ..] if *last == end => return Some(rest),
            _ => return None,
        }
    }
}

fn string(value: &[u8]) -> Rest<'_> {
    let mut rest = value.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'u', a, b, c, d, rest @ ..] if [a, b, c, d].iter().all(|h| h.is_ascii_hexdigit()) => {
                rest
            }
            [b'\\', e, rest @ ..] if b"\"\\/bfnrt".contains(e) => rest,
            [b'\\' | 0..=0x1f, ..] | [] => return None,
            [_, rest @ ..] => rest,
        }
    }
}

fn number(value: &[u8]) -> Rest<'_> {
    let digits = |value: &[u8]| value.iter().take_while(|b| b.is_ascii_digit()).count();
    let value = value.strip_prefix(b"-").unwrap_or(value);
    let whole = digits(value);
    if whole == 0 || (whole > 1 && value[0] == b'0') {
        return None;
    }
    let mut rest = &value[whole..];
    if let Some(part) = rest.strip_prefix(b".") {
        let places = digits(part);
        rest = if places == 0 { return None } else { &part[places..] };
    }
    if let [b'e' | b'E', part @ ..] = rest {
        let part = part.strip_prefix(b"+").or(part.strip_prefix(b"-")).unwrap_or(part);
        let places = digits(part);
        rest = if places == 0 { return None } else { &part[places..] };
    }
    Some(rest)
}

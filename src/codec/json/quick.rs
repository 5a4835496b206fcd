//! The usual record: an object without escapes and line ends, nothing mapped in arrays, nothing twice.
//!
//! It says yes only to what it has seen to be JSON (RFC 8259) to the last byte, and leaves everything else,
//! faults included, to the walk in the module above. What it says yes to, that walk must find the same in:
//! the tests hold one against the other.

use super::{Node, Slot};

/// Nesting that is followed here; deeper records take the other way. Below every limit of depth.
const NESTING_MAX: u32 = 16;

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);

/// Walks `text` to its end and fills `slots`. `None` tells nothing of `text`, and leaves slots filled in part.
#[inline]
pub(super) fn read<'a>(text: &'a str, root: &Node, slots: &mut [Slot<'a>]) -> Option<()> {
    if has_unusual(text.as_bytes()) {
        return None;
    }
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0 };
    reader.space();
    reader.expect(b'{')?;
    reader.mapped(root, slots, NESTING_MAX)?;
    reader.space();
    (reader.at == reader.bytes.len()).then_some(())
}

/// Whether there is a backslash or a control character. Without them a string ends at the next quote, and
/// one pass in wide registers is cheaper than looking for them in each string.
#[inline]
fn has_unusual(bytes: &[u8]) -> bool {
    let unusual = |chunk: &[u8]| {
        chunk.iter().fold(0, |any, &byte| any | (u8::from(byte < 0x20) | u8::from(byte == b'\\'))) != 0
    };
    bytes.chunks(64).any(unusual)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// An object on the way to mapped values, behind its bracket.
    fn mapped(&mut self, node: &Node, slots: &mut [Slot<'a>], nesting: u32) -> Option<()> {
        let nesting = nesting.checked_sub(1)?;
        let mut seen = 0u64;
        if self.ends_or_names()? {
            return Some(());
        }
        loop {
            let start = self.at;
            self.string()?;
            let name = &self.bytes[start..self.at - 1];
            self.colon()?;
            match node.children.iter().position(|child| child.name.as_bytes() == name) {
                None => self.value(nesting)?,
                Some(place) => {
                    let bit = 1u64.checked_shl(place as u32)?;
                    if seen & bit != 0 {
                        return None;
                    }
                    seen |= bit;
                    self.found(&node.children[place].node, slots, nesting)?;
                }
            }
            if self.closes(b'}')? {
                return Some(());
            }
            self.expect(b'"')?;
        }
    }

    /// A value that a pointer ends at or goes through.
    fn found(&mut self, node: &Node, slots: &mut [Slot<'a>], nesting: u32) -> Option<()> {
        let start = self.at;
        match self.bytes.get(start)? {
            b'{' if !node.children.is_empty() => {
                self.at += 1;
                self.mapped(node, slots, nesting)?;
            }
            b'[' if !node.children.is_empty() => return None,
            _ => self.value(nesting)?,
        }
        if let Some(slot) = node.slot {
            slots[slot] = Slot::Found(self.text.get(start..self.at)?);
        }
        Some(())
    }

    /// Steps over a value that nobody reads.
    #[inline]
    fn value(&mut self, nesting: u32) -> Option<()> {
        let first = *self.bytes.get(self.at)?;
        if first == b'"' {
            self.at += 1;
            return self.string();
        }
        self.other(first, nesting)
    }

    fn other(&mut self, first: u8, nesting: u32) -> Option<()> {
        match first {
            b'-' | b'0'..=b'9' => self.number(first),
            b'{' => self.object(nesting.checked_sub(1)?),
            b'[' => self.array(nesting.checked_sub(1)?),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => None,
        }
    }

    fn object(&mut self, nesting: u32) -> Option<()> {
        self.at += 1;
        if self.ends_or_names()? {
            return Some(());
        }
        loop {
            self.string()?;
            self.colon()?;
            self.value(nesting)?;
            if self.closes(b'}')? {
                return Some(());
            }
            self.expect(b'"')?;
        }
    }

    fn array(&mut self, nesting: u32) -> Option<()> {
        self.at += 1;
        self.space();
        if self.bytes.get(self.at) == Some(&b']') {
            self.at += 1;
            return Some(());
        }
        loop {
            self.value(nesting)?;
            if self.closes(b']')? {
                return Some(());
            }
        }
    }

    /// Behind an object's bracket: whether it is empty; otherwise goes behind the first name's quote.
    fn ends_or_names(&mut self) -> Option<bool> {
        self.space();
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        if byte == b'}' { Some(true) } else { (byte == b'"').then_some(false) }
    }

    /// Behind a value: whether its object or array ends; otherwise goes behind the comma and to what follows.
    #[inline]
    fn closes(&mut self, end: u8) -> Option<bool> {
        self.space();
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        if byte == end {
            return Some(true);
        }
        self.space();
        (byte == b',').then_some(false)
    }

    #[inline]
    fn colon(&mut self) -> Option<()> {
        self.space();
        self.expect(b':')?;
        self.space();
        Some(())
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        let is = *self.bytes.get(self.at)? == byte;
        self.at += 1;
        is.then_some(())
    }

    /// The only white space there is without control characters.
    #[inline]
    fn space(&mut self) {
        while self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let is = self.bytes[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        is.then_some(())
    }

    fn number(&mut self, first: u8) -> Option<()> {
        self.at += usize::from(first == b'-');
        let start = self.at;
        if self.digits()? > 1 && self.bytes[start] == b'0' {
            return None;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit, and how many.
    #[inline]
    fn digits(&mut self) -> Option<usize> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        (self.at > start).then_some(self.at - start)
    }

    /// Behind the quote that ends a string, whose first quote is passed.
    #[inline]
    fn string(&mut self) -> Option<()> {
        let mut rest = &self.bytes[self.at..];
        while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
            // A byte is zero where subtracting one borrows into its high bit. A borrow may run on into bytes
            // behind the first zero; the first is right, and the only one asked for.
            let zero_at_quote = u64::from_le_bytes(*chunk) ^ QUOTES;
            let quote = zero_at_quote.wrapping_sub(ONES) & !zero_at_quote & HIGHS;
            if quote != 0 {
                self.at = self.bytes.len() - rest.len() + (quote.trailing_zeros() / 8) as usize + 1;
                return Some(());
            }
            rest = after;
        }
        let quote = rest.iter().position(|byte| *byte == b'"')?;
        self.at = self.bytes.len() - rest.len() + quote + 1;
        Some(())
    }
}

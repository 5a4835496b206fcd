//! The usual record: an object without escapes and line ends, nothing mapped in arrays, nothing twice.
//!
//! It says yes only to what it has seen to be JSON (RFC 8259) to the last byte, and leaves everything else,
//! faults included, to the walk in the module above. What it says yes to, that walk must find the same in:
//! the tests hold one against the other.
//!
//! Strings are most of a record. They are stepped over by a map of the quotes in each block of 64 bytes, made
//! in wide registers together with the look for what is unusual. What stands outside them is read byte by byte.

use super::{Node, Slot};

/// Nesting that is followed here; deeper records take the other way. Below every limit of depth.
const NESTING_MAX: u32 = 16;

/// Bytes looked through at once.
const BLOCK: usize = 64;

/// Walks `value` to its end and fills `slots`. `None` tells nothing of `value`, and leaves slots filled in part.
#[inline]
pub(super) fn read<'a>(value: &'a [u8], root: &Node, slots: &mut [Slot<'a>]) -> Option<()> {
    let mut reader = Reader { bytes: value, at: 0, block: 0, next_block: 0, quotes: 0, is_ascii: true };
    reader.space();
    reader.expect(b'{')?;
    reader.mapped(root, slots, NESTING_MAX)?;
    reader.space();
    if reader.at != value.len() {
        return None;
    }
    // Outside strings nothing but ASCII was let pass, and every string lies in blocks that were looked through.
    if reader.is_ascii { Some(()) } else { std::str::from_utf8(value).ok().map(|_| ()) }
}

/// What a block holds.
#[derive(Clone, Copy)]
struct Block {
    /// A bit for each quote, the lowest for the first byte.
    quotes: u64,
    /// Neither backslash nor control character: a string ends at the next quote.
    is_usual: bool,
    is_ascii: bool,
}

impl Block {
    #[inline]
    fn of(bytes: &[u8; BLOCK]) -> Block {
        // Plain loops over fixed arrays, which the compiler turns into wide registers on every target. As signed
        // numbers, what is not ASCII lies below the control characters.
        let unusual =
            bytes.iter().fold(0, |any, &byte| any | u8::from((byte as i8) < 0x20) | u8::from(byte == b'\\'));
        let is_quote = bytes.map(|byte| u8::from(byte == b'"'));
        let (eights, _) = is_quote.as_chunks::<8>();
        let quotes = eights.iter().rev().fold(0, |quotes, eight| {
            // The multiplication moves the lowest bit of each byte to its place in the highest byte.
            quotes << 8 | u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56
        });
        if unusual == 0 {
            Block { quotes, is_usual: true, is_ascii: true }
        } else {
            Block::of_unusual(bytes, quotes)
        }
    }

    #[cold]
    fn of_unusual(bytes: &[u8; BLOCK], quotes: u64) -> Block {
        let is_usual = !bytes.iter().any(|byte| matches!(byte, 0..0x20 | b'\\'));
        Block { quotes, is_usual, is_ascii: bytes.is_ascii() }
    }

    /// The last bytes of a record, fewer than a block, behind what was looked through before.
    #[inline]
    fn of_rest(bytes: &[u8], rest: usize) -> Block {
        if let Some(last) = bytes.last_chunk() {
            // What stands before the rest was seen already and is shifted out.
            let block = Block::of(last);
            return Block { quotes: block.quotes >> (BLOCK - rest), ..block };
        }
        Block::of_few(bytes)
    }

    /// All bytes of a record that is shorter than a block.
    #[cold]
    fn of_few(bytes: &[u8]) -> Block {
        let of_byte = |(place, byte): (usize, &u8)| Block {
            quotes: u64::from(*byte == b'"') << place,
            is_usual: !matches!(byte, 0..0x20 | b'\\'),
            is_ascii: byte.is_ascii(),
        };
        let nothing = Block { quotes: 0, is_usual: true, is_ascii: true };
        bytes.iter().enumerate().map(of_byte).fold(nothing, |all, byte| Block {
            quotes: all.quotes | byte.quotes,
            is_usual: all.is_usual && byte.is_usual,
            is_ascii: all.is_ascii && byte.is_ascii,
        })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the block that is mapped starts …
    block: usize,
    /// … and where the next one does.
    next_block: usize,
    /// The block's quotes that are not passed yet.
    quotes: u64,
    /// All blocks so far.
    is_ascii: bool,
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
            let name = self.bytes.get(start..self.at - 1)?;
            match node.children.iter().position(|child| child.name.as_bytes() == name) {
                None => self.unread(nesting)?,
                Some(place) => {
                    let bit = 1u64.checked_shl(place as u32)?;
                    if seen & bit != 0 {
                        return None;
                    }
                    seen |= bit;
                    self.colon()?;
                    self.found(&node.children[place].node, slots, nesting)?;
                }
            }
            if self.ends()? {
                return Some(());
            }
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
            slots[slot] = Slot::Found(std::str::from_utf8(self.bytes.get(start..self.at)?).ok()?);
        }
        Some(())
    }

    /// Behind a name that nobody looks for: steps over its value, which mostly is a text.
    #[inline(always)]
    fn unread(&mut self, nesting: u32) -> Option<()> {
        if self.passes(b":\"") {
            return self.string();
        }
        self.colon()?;
        self.value(nesting)
    }

    /// Behind a member: whether its object ends; otherwise goes behind the quote of the next name.
    #[inline(always)]
    fn ends(&mut self) -> Option<bool> {
        if self.passes(b",\"") {
            return Some(false);
        }
        if self.closes(b'}')? {
            return Some(true);
        }
        self.expect(b'"')?;
        Some(false)
    }

    /// Goes behind these two bytes, if they are what comes.
    #[inline(always)]
    fn passes(&mut self, two: &[u8; 2]) -> bool {
        let is = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk) == Some(two);
        self.at += if is { 2 } else { 0 };
        is
    }

    /// Steps over a value that nobody reads.
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
            self.unread(nesting)?;
            if self.ends()? {
                return Some(());
            }
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

    /// Behind the quote that ends a string, whose first quote is passed. Every quote is taken from the map in
    /// order: outside strings each begins one.
    #[inline(always)]
    fn string(&mut self) -> Option<()> {
        if self.quotes == 0 {
            self.map_on()?;
        }
        self.quotes &= self.quotes - 1;
        if self.quotes == 0 {
            self.map_on()?;
        }
        self.at = self.block + self.quotes.trailing_zeros() as usize + 1;
        self.quotes &= self.quotes - 1;
        Some(())
    }

    /// Goes on to the next block that has quotes; nothing unusual may stand on the way.
    #[inline(never)]
    fn map_on(&mut self) -> Option<()> {
        while self.quotes == 0 {
            let rest = self.bytes.get(self.next_block..)?;
            let block = match rest.first_chunk() {
                Some(whole) => Block::of(whole),
                None if rest.is_empty() => return None,
                None => Block::of_rest(self.bytes, rest.len()),
            };
            self.block = self.next_block;
            self.next_block += rest.len().min(BLOCK);
            self.quotes = block.quotes;
            self.is_ascii &= block.is_ascii;
            if !block.is_usual {
                return None;
            }
        }
        Some(())
    }
}

//! The JSON reader: walks one record to its last byte and finds the mapped values on the way.
//!
//! # The choice: serde_json
//!
//! Every record is checked whole (UTF-8, RFC 8259 to the last byte, size, depth) while only the card's path is
//! looked for. CPU time for a 236-byte record, portable build (no `target-cpu`), on two busy cores (idle, the
//! walk took 236 ns); `benches/json.rs` compares the same readers by the clock:
//!
//! | reader | ns |
//! |---|---|
//! | UTF-8 alone | 14 |
//! | serde_json, everything ignored | 212 |
//! | serde_json, walk to the card | 264 |
//! | **`Mapping::scan`: the walk, depth, the card number** | **267** |
//! | sonic-rs, walk to the card, without what it leaves out | 277 |
//! | sonic-rs, `to_object_iter`, the same | 397 |
//!
//! A scan takes no memory, unless an escape stands in the way or unread values nest more than once.
//!
//! sonic-rs 0.5.10 was the other candidate. What it skips it checks less: any four bytes after `\u` pass for an
//! escape, invalid UTF-8 passes its deserializer until a text is read, and it recurses without a limit
//! (a megabyte of `[` overflows the stack); its iterator allocates a buffer for names. Without
//! `target-cpu=native` it is also the slower one.
//!
//! In front of it stands a small pass of our own ([`quick`]) that only ever says yes: to an object without
//! escapes, nothing mapped in arrays, nothing twice, which is what nearly every record is. Whatever it does not
//! say yes to, faults included, goes the way of serde_json. For a record of 245 bytes it takes 1,960 instructions by
//! callgrind; for one of 236 the walk takes 5,060. A property holds the two against each other both ways.
//!
//! What serde_json leaves to us: UTF-8 (checked before it, over the whole value), depth (below), members occurring
//! twice (below). What it accepts and we let pass: a lone surrogate escape in a value nobody reads, and numbers
//! too large for a float; both are grammatical (RFC 8259 sections 6 and 8.2). A lone surrogate in a member's
//! *name* on the way to a mapped value is `not_json`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::dead::DeadReason;
use super::mapping::{DEPTH_MAX, RECORD_BYTES_MAX};
use super::pointer::{Pointer, array_index};

mod quick;

/// The mapped paths as a tree of steps; a node that a pointer ends at has a slot.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    root: Node,
    slots: usize,
}

#[derive(Debug, Clone, Default)]
struct Node {
    slot: Option<usize>,
    children: Vec<Child>,
}

#[derive(Debug, Clone)]
struct Child {
    name: String,
    index: Option<usize>,
    node: Node,
}

/// What was found at a mapped path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot<'a> {
    /// Nothing.
    Absent,
    /// The JSON text of the value, without white space around it.
    Found(&'a str),
    /// The path or the beginning of it occurs twice.
    Twice,
    /// An object on the way has a name that stands for no text.
    Broken,
}

impl Tree {
    /// Adds a path and gives its slot; the same path has the same slot.
    pub(super) fn place(&mut self, pointer: &Pointer) -> usize {
        let mut node = &mut self.root;
        for step in pointer.steps() {
            let at = match node.children.iter().position(|child| child.name == *step) {
                Some(at) => at,
                None => {
                    let child = Child { name: step.clone(), index: array_index(step), node: Node::default() };
                    node.children.push(child);
                    node.children.len() - 1
                }
            };
            node = &mut node.children[at].node;
        }
        *node.slot.get_or_insert_with(|| {
            self.slots += 1;
            self.slots - 1
        })
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// The most members of one object that are looked for.
    pub(super) fn widest(&self) -> usize {
        self.root.widest()
    }
}

/// Checks `value` to its last byte and fills `slots` (one for each of `tree`, all absent before).
///
/// # Errors
/// Why the value is no record at all. A path that occurs twice is not an error here.
#[inline]
pub(super) fn read<'a>(value: &'a [u8], tree: &Tree, slots: &mut [Slot<'a>]) -> Result<(), DeadReason> {
    if value.is_empty() {
        return Err(DeadReason::Empty);
    }
    if value.len() > RECORD_BYTES_MAX {
        return Err(DeadReason::TooLarge);
    }
    if quick::read(value, &tree.root, slots).is_some() {
        return Ok(());
    }
    let text = std::str::from_utf8(value).map_err(|_| DeadReason::NotUtf8)?;
    slots.fill(Slot::Absent);
    read_any(text, tree, slots)
}

/// As [`read`], for every record that is text.
fn read_any<'a>(text: &'a str, tree: &Tree, slots: &mut [Slot<'a>]) -> Result<(), DeadReason> {
    walk(text, &tree.root, slots).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => DeadReason::Truncated,
        _ => DeadReason::NotJson,
    })?;
    if is_deeper_than(text, DEPTH_MAX) { Err(DeadReason::TooDeep) } else { Ok(()) }
}

fn walk<'a>(text: &'a str, node: &Node, slots: &mut [Slot<'a>]) -> serde_json::Result<()> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = Members { node, slots };
    // Asking for the type that stands there keeps serde_json from reading numbers as floats.
    match text.bytes().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
        Some(b'{') => reader.deserialize_map(members)?,
        Some(b'[') => reader.deserialize_seq(members)?,
        _ => reader.deserialize_ignored_any(IgnoredAny).map(|_| ())?,
    }
    reader.end()
}

/// Walks the members of one object or array.
struct Members<'t, 's, 'a> {
    node: &'t Node,
    slots: &'s mut [Slot<'a>],
}

impl<'a> Visitor<'a> for Members<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    #[inline]
    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = 0u64;
        while let Some(known) = members.next_key_seed(Name(&self.node.children))? {
            let Some(at) = known else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            let child = &self.node.children[at].node;
            let value: &'a RawValue = members.next_value()?;
            if seen & (1 << at) != 0 {
                child.mark(Slot::Twice, self.slots);
            } else {
                seen |= 1 << at;
                child.take(value.get(), self.slots);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<(), A::Error> {
        for place in 0.. {
            match self.node.children.iter().find(|child| child.index == Some(place)) {
                Some(child) => match elements.next_element::<&'a RawValue>()? {
                    Some(value) => child.node.take(value.get(), self.slots),
                    None => return Ok(()),
                },
                None if elements.next_element::<IgnoredAny>()?.is_none() => return Ok(()),
                None => {}
            }
        }
        Err(A::Error::custom("an array without end"))
    }
}

impl Node {
    fn widest(&self) -> usize {
        let below = self.children.iter().map(|child| child.node.widest());
        below.max().unwrap_or(0).max(self.children.len())
    }

    /// Notes `text` where a pointer ends here, and looks below it for those that go on.
    fn take<'a>(&self, text: &'a str, slots: &mut [Slot<'a>]) {
        if let Some(slot) = self.slot {
            slots[slot] = Slot::Found(text);
        }
        // The text is known to be JSON, so only a name that cannot be unescaped fails here.
        if !self.children.is_empty() && text.starts_with(['{', '[']) && walk(text, self, slots).is_err() {
            self.children.iter().for_each(|child| child.node.mark(Slot::Broken, slots));
        }
    }

    /// Notes the same for every pointer that ends here or below.
    fn mark<'a>(&self, what: Slot<'a>, slots: &mut [Slot<'a>]) {
        if let Some(slot) = self.slot {
            slots[slot] = what;
        }
        self.children.iter().for_each(|child| child.node.mark(what, slots));
    }
}

/// Compares a member's name with those looked for.
struct Name<'t>(&'t [Child]);

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Option<usize>;
    #[inline]
    fn deserialize<D: serde::Deserializer<'a>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    #[inline]
    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|child| child.name == name))
    }
}

/// Whether valid JSON nests deeper than `limit`.
fn is_deeper_than(text: &str, limit: usize) -> bool {
    opening_brackets(text) > limit && depth(text) > limit
}

/// How many `{` and `[` there are, in strings too: an upper bound of the depth that costs next to nothing.
#[inline]
fn opening_brackets(text: &str) -> usize {
    // The two differ in one bit; sums of at most 128 fit a byte, which lets the compiler use wide registers.
    let count = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    text.as_bytes().chunks(128).map(|chunk| usize::from(count(chunk))).sum()
}

/// The depth of valid JSON.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// An escape that stands for no character: a surrogate without its partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadEscape;

/// What stands between the quotes of a JSON string, if `json` is one.
pub(super) fn inside_quotes(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// Appends the text that `inside` (between the quotes of a valid JSON string) stands for.
///
/// `out` is given room first and never moves, so that wiping it leaves no copy behind.
pub(super) fn unescape(inside: &str, out: &mut String) -> Result<(), BadEscape> {
    out.reserve_exact(inside.len());
    let mut rest = inside;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().ok_or(BadEscape)?;
        rest = &rest[at + 2..];
        out.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => unescape_unicode(&mut rest)?,
            other => char::from(other),
        });
    }
    out.push_str(rest);
    Ok(())
}

fn unescape_unicode(rest: &mut &str) -> Result<char, BadEscape> {
    let first = four_digits(rest)?;
    if !(0xD800..0xDC00).contains(&first) {
        return char::from_u32(first).ok_or(BadEscape);
    }
    *rest = rest.strip_prefix("\\u").ok_or(BadEscape)?;
    match four_digits(rest)? {
        second @ 0xDC00..0xE000 => {
            char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or(BadEscape)
        }
        _ => Err(BadEscape),
    }
}

fn four_digits(rest: &mut &str) -> Result<u32, BadEscape> {
    let (digits, after) = rest.split_at_checked(4).ok_or(BadEscape)?;
    *rest = after;
    u32::from_str_radix(digits, 16).map_err(|_| BadEscape)
}

#[cfg(test)]
mod tests;

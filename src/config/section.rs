//! One declaration per key: from it come the field of [`Settings`](super::Settings), its reading, its
//! line in `config/reference.toml` and the variable that overrides it.

use super::reader::Reader;
use super::shape::Shape;

/// What a key is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyDescription {
    /// The section, with those above it: `input.card`.
    pub(super) section: &'static str,
    /// The name within the section.
    pub(super) name: &'static str,
    /// The default, in TOML.
    pub(super) default: &'static str,
    /// What a reader may write, in TOML, where the default is nothing or depends on other keys.
    pub(super) example: Option<&'static str>,
    /// What may be written, as a phrase.
    pub(super) allowed: String,
    /// What it is for, line by line.
    pub(super) doc: &'static [&'static str],
}

/// What a section is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SectionDescription {
    /// The name, with those above it.
    pub(super) path: &'static str,
    /// What it is for, line by line.
    pub(super) doc: &'static [&'static str],
    /// Its keys, in the order of declaration. Empty where the user names them.
    pub(super) keys: Vec<KeyDescription>,
    /// Lines of an example where the user names the keys.
    pub(super) examples: &'static [&'static str],
}

/// A section with its keys.
pub(super) trait Section: Sized {
    /// The section for people.
    fn describe() -> SectionDescription;

    /// Reads every key. `None` only where a default cannot be read by its own shape.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// Where keys are read from: the file as a whole, or one table of a list.
pub(super) trait Source {
    /// The value of the key at `path`, or `default`, which is TOML. A value that cannot be read is a mistake, and the
    /// default stands in for it. `None` only where the default itself cannot be read.
    fn value<T>(&mut self, path: &str, default: &str, shape: &Shape<T>) -> Option<T>;
}

/// Declares a section: a struct whose fields are the keys, each with its default in TOML, an example
/// where the default is nothing, and its shape.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $Name:ident = $path:literal {
            $(
                $(#[doc = $key_doc:literal])+
                $key:ident: $type:ty = $default:literal $(example $example:literal)?, $shape:expr;
            )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $Name {
            $( $(#[doc = $key_doc])+ $vis $key: $type, )+
        }

        impl $crate::config::section::Section for $Name {
            fn describe() -> $crate::config::section::SectionDescription {
                let key = |name, default, example, allowed, doc| {
                    $crate::config::section::KeyDescription {
                        section: $path, name, default, example, allowed, doc,
                    }
                };
                $crate::config::section::SectionDescription {
                    path: $path,
                    doc: &[$($doc),+],
                    keys: vec![$({
                        #[allow(unused_mut, unused_assignments, reason = "only some keys have an example")]
                        let mut example = None;
                        $( example = Some($example); )?
                        let shape: $crate::config::shape::Shape<$type> = $shape;
                        key(stringify!($key), $default, example, shape.allowed, &[$($key_doc),+])
                    }),+],
                    examples: &[],
                }
            }

            fn read(reader: &mut $crate::config::reader::Reader<'_>) -> Option<Self> {
                Self::read_from(reader)
            }
        }

        impl $Name {
            /// Reads every key from `source`.
            fn read_from(source: &mut impl $crate::config::section::Source) -> Option<Self> {
                $( let $key = source.value(concat!($path, ".", stringify!($key)), $default, &$shape); )+
                Some($Name { $( $key: $key? ),+ })
            }
        }
    };
}
pub(super) use section;

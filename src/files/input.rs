//! Bytes from a file or from standard input: counted, decompressed, cut into lines.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

/// How much of an input is looked at to recognise its compression and its format, in bytes.
const HEAD_BYTES: usize = 4_096;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Why a file cannot be read or written. Names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened.
    #[error("cannot open {name}: {cause}")]
    Open {
        /// The file.
        name: String,
        /// Why.
        cause: io::Error,
    },
    /// It cannot be read on.
    #[error("cannot read {name} after {bytes} bytes: {cause}")]
    Read {
        /// The file.
        name: String,
        /// How far reading came, in bytes of the file.
        bytes: u64,
        /// Why.
        cause: io::Error,
    },
    /// Compressed data ends before its end.
    #[error("{name} ends in the middle of its compressed data: it was cut off; copy or make it again")]
    CutOff {
        /// The file.
        name: String,
    },
    /// It cannot be written.
    #[error("cannot write {name}: {cause}")]
    Write {
        /// The file.
        name: String,
        /// Why.
        cause: io::Error,
    },
}

/// How far reading has come, for whoever draws a progress bar. In bytes as they are stored, compressed or not.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
    total: u64,
}

impl Progress {
    /// Bytes read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes in all, if that is known: a pipe does not tell.
    pub fn total(&self) -> Option<u64> {
        (self.total > 0).then_some(self.total)
    }
}

struct Counted<R> {
    inner: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.progress.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// An input, decompressed if it was gzip or zstd, whatever its name says.
pub struct Input {
    name: String,
    head: Zeroizing<Vec<u8>>,
    reader: Box<dyn Read + Send>,
    progress: Arc<Progress>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).field("progress", &self.progress).finish()
    }
}

impl Input {
    /// Opens a file.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be opened or its first bytes cannot be read.
    pub fn open(path: &Path) -> Result<Input, FileError> {
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        match opened {
            Ok((bytes, file)) => Input::of(name, bytes, file),
            Err(cause) => Err(FileError::Open { name, cause }),
        }
    }

    /// Standard input.
    ///
    /// # Errors
    /// [`FileError`] when its first bytes cannot be read.
    pub fn stdin() -> Result<Input, FileError> {
        Input::of("standard input".to_owned(), 0, io::stdin())
    }

    /// Any reader; `total` is how many bytes it has, 0 if that is not known.
    ///
    /// # Errors
    /// [`FileError`] when its first bytes cannot be read.
    pub fn of(name: String, total: u64, reader: impl Read + Send + 'static) -> Result<Input, FileError> {
        let progress = Arc::new(Progress { read: AtomicU64::new(0), total });
        let mut reader: Box<dyn Read + Send> =
            Box::new(Counted { inner: reader, progress: Arc::clone(&progress) });
        let failed = |cause| read_error(&name, &progress, cause);
        let magic = head_of(&mut reader, ZSTD_MAGIC.len()).map_err(failed)?;
        let is = |wanted: &[u8]| magic.starts_with(wanted);
        let (gzip, zstd) = (is(GZIP_MAGIC), is(ZSTD_MAGIC));
        let whole = Cursor::new(magic).chain(reader);
        let mut reader: Box<dyn Read + Send> = if gzip {
            Box::new(flate2::read::MultiGzDecoder::new(whole))
        } else if zstd {
            Box::new(zstd::stream::read::Decoder::new(whole).map_err(failed)?)
        } else {
            Box::new(whole)
        };
        let head = head_of(&mut reader, HEAD_BYTES).map_err(failed)?;
        Ok(Input { name, head, reader, progress })
    }

    /// What to call the input in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first bytes, at most 4,096, decompressed. They will be read again.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// How far reading has come.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    pub(super) fn into_chunks(self, capacity: usize) -> Chunks {
        Chunks {
            name: self.name,
            reader: Box::new(Cursor::new(self.head).chain(self.reader)),
            progress: self.progress,
            buffer: Zeroizing::new(vec![0; capacity]),
            start: 0,
            end: 0,
            is_over: false,
        }
    }
}

fn head_of(reader: &mut impl Read, bytes: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut head = Zeroizing::new(Vec::with_capacity(bytes));
    reader.take(bytes as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn read_error(name: &str, progress: &Progress, cause: io::Error) -> FileError {
    match cause.kind() {
        io::ErrorKind::UnexpectedEof => FileError::CutOff { name: name.to_owned() },
        _ => FileError::Read { name: name.to_owned(), bytes: progress.read(), cause },
    }
}

/// An input and one buffer of fixed size: what was read of it and not used yet.
pub(super) struct Chunks {
    pub(super) name: String,
    reader: Box<dyn Read + Send>,
    progress: Arc<Progress>,
    buffer: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    is_over: bool,
}

impl Chunks {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn used(&mut self, bytes: usize) {
        self.start += bytes;
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Reads more behind what is there; false when there is no more, or no room.
    pub(super) fn fill(&mut self) -> Result<bool, FileError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.is_over || self.end == self.buffer.len() {
            return Ok(false);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.is_over = true;
                    return Ok(false);
                }
                Ok(bytes) => {
                    self.end += bytes;
                    return Ok(true);
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(read_error(&self.name, &self.progress, cause)),
            }
        }
    }
}

/// A line without its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LineText<'a> {
    /// The line.
    Whole(&'a [u8]),
    /// The line is longer than allowed and was passed over; its length in bytes.
    TooLong(u64),
}

impl std::fmt::Debug for LineText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LineText::Whole(text) => write!(f, "Whole({} bytes)", text.len()),
            LineText::TooLong(bytes) => write!(f, "TooLong({bytes} bytes)"),
        }
    }
}

/// A line of an input. It shows nothing of its text: that may be a card number.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: u64,
    /// The line.
    pub text: LineText<'a>,
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({})", self.number)
    }
}

/// Cuts an input into lines of bounded length, ended by LF or CRLF. A UTF-8 byte order mark is no part of the
/// first.
pub struct Lines {
    chunks: Chunks,
    line_bytes_max: usize,
    number: u64,
    /// The length of the line handed out last, with its end.
    handed_out: usize,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({}, line {})", self.chunks.name, self.number)
    }
}

impl Lines {
    /// Lines of at most `line_bytes_max` bytes.
    pub fn new(input: Input, line_bytes_max: usize) -> Lines {
        // Twice the longest line, so that what is moved to the front is never most of what is read.
        let chunks = input.into_chunks((line_bytes_max + 2) * 2);
        Lines { chunks, line_bytes_max, number: 0, handed_out: 0 }
    }

    /// What to call the input in messages.
    pub fn name(&self) -> &str {
        &self.chunks.name
    }

    /// How far reading has come.
    pub fn progress(&self) -> Arc<Progress> {
        self.chunks.progress()
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// [`FileError`] when the input cannot be read on.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, FileError> {
        self.chunks.used(std::mem::take(&mut self.handed_out));
        let mut looked_at = 0;
        let mut dropped = 0u64;
        let end = loop {
            if let Some(place) = memchr::memchr(b'\n', &self.chunks.bytes()[looked_at..]) {
                break Some(looked_at + place);
            }
            looked_at = self.chunks.bytes().len();
            if looked_at > self.line_bytes_max + 1 {
                dropped += looked_at as u64;
                self.chunks.used(std::mem::take(&mut looked_at));
            }
            if !self.chunks.fill()? {
                break None;
            }
        };
        let bytes = self.chunks.bytes();
        if end.is_none() && bytes.is_empty() && dropped == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.handed_out = end.map_or(bytes.len(), |end| end + 1);
        let mut text = &bytes[..end.unwrap_or(bytes.len())];
        text = text.strip_suffix(b"\r").unwrap_or(text);
        if self.number == 1 && dropped == 0 {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        let length = dropped + text.len() as u64;
        let text = match length > self.line_bytes_max as u64 {
            true => LineText::TooLong(length),
            false => LineText::Whole(text),
        };
        Ok(Some(Line { number: self.number, text }))
    }
}

#[cfg(test)]
mod tests;

use std::io::Write;

use proptest::prelude::*;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn input(bytes: &[u8]) -> Input {
    Input::of("test".to_owned(), bytes.len() as u64, Cursor::new(bytes.to_vec())).unwrap()
}

/// Hands out a few bytes at a time.
struct Trickle(Vec<u8>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = buffer.len().min(self.1).min(self.0.len());
        buffer[..bytes].copy_from_slice(&self.0[..bytes]);
        self.0.drain(..bytes);
        Ok(bytes)
    }
}

fn texts(input: Input, line_bytes_max: usize) -> Vec<Result<Vec<u8>, u64>> {
    let mut lines = Lines::new(input, line_bytes_max);
    let mut texts = Vec::new();
    while let Some(line) = lines.next_line().unwrap() {
        assert_eq!(line.number, texts.len() as u64 + 1);
        texts.push(match line.text {
            LineText::Whole(text) => Ok(text.to_vec()),
            LineText::TooLong(bytes) => Err(bytes),
        });
    }
    texts
}

#[test]
fn compression_is_known_by_the_first_bytes_and_parts_may_follow_each_other() {
    let plain = b"one\ntwo\n".to_vec();
    let twice = |packed: Vec<u8>| [packed.clone(), packed].concat();
    for bytes in [twice(plain.clone()), twice(gzip(&plain)), twice(zstd(&plain))] {
        let input = input(&bytes);
        assert_eq!(input.head(), b"one\ntwo\none\ntwo\n");
        let progress = input.progress();
        let texts = texts(input, 10);
        assert_eq!(texts, ["one", "two", "one", "two"].map(|text| Ok(text.as_bytes().to_vec())));
        assert_eq!((progress.read(), progress.total()), (bytes.len() as u64, Some(bytes.len() as u64)));
    }
    assert_eq!(texts(input(b""), 10), []);
}

#[test]
fn a_file_that_was_cut_off_is_told_as_that() {
    let plain: Vec<u8> =
        (0..200_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_string().into_bytes()).collect();
    for packed in [gzip(&plain), zstd(&plain)] {
        let mut chunks = input(&packed[..packed.len() - 9]).into_chunks(100_000);
        let error = loop {
            match chunks.fill() {
                Ok(true) => chunks.used(chunks.bytes().len()),
                Ok(false) => panic!("read to an end that is not there"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, FileError::CutOff { .. }), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Input::open(Path::new("/nowhere/list.csv")).unwrap_err().to_string();
    assert!(error.starts_with("cannot open /nowhere/list.csv: "), "{error}");
}

#[test]
fn a_line_of_exactly_the_limit_is_whole_and_one_byte_more_is_not() {
    for end in ["\n", "\r\n", ""] {
        for (length, want) in
            [(9, Ok(vec![b'x'; 9])), (10, Ok(vec![b'x'; 10])), (11, Err(11)), (500, Err(500))]
        {
            let bytes = format!("a\n{}{end}", "x".repeat(length));
            assert_eq!(texts(input(bytes.as_bytes()), 10), [Ok(b"a".to_vec()), want], "{length} {end:?}");
        }
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    assert_eq!(texts(input(b"\xef\xbb\xbfpan\n1\n"), 10), [Ok(b"pan".to_vec()), Ok(b"1".to_vec())]);
}

proptest! {
    #[test]
    fn lines_are_those_of_a_naive_split(
        lines in prop::collection::vec("[ab]{0,30}", 0..20), step in 1usize..40, limit in 1usize..25, ends in any::<bool>(),
    ) {
        let mut text = lines.join("\n");
        if ends && !text.is_empty() {
            text.push('\n');
        }
        let mut want: Vec<&str> = text.split('\n').collect();
        if want.last() == Some(&"") {
            want.pop();
        }
        let want: Vec<Result<Vec<u8>, u64>> = want.into_iter().map(|line| {
            if line.len() > limit { Err(line.len() as u64) } else { Ok(line.as_bytes().to_vec()) }
        }).collect();
        let input = Input::of("test".to_owned(), 0, Trickle(text.into_bytes(), step)).unwrap();
        prop_assert_eq!(texts(input, limit), want);
    }
}

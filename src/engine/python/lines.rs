//! From bytes to lines of text.

use std::io::BufRead;

/// A longer line is split, so that a flood without line ends stays bounded.
pub(super) const LONGEST_LINE: usize = 64 * 1024;

/// Cuts bytes into lines of bounded length.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    pending: Vec<u8>,
}

impl LineSplitter {
    /// Takes bytes and gives out the lines that they complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            // A slice can always be read; this looks for the line end many bytes at a time.
            let _length = rest.read_until(b'\n', &mut self.pending);
            let complete = self.pending.pop_if(|byte| *byte == b'\n').is_some();
            while self.pending.len() > LONGEST_LINE {
                let rest = self.pending.split_off(whole_characters(&self.pending, LONGEST_LINE));
                line(text_of(&std::mem::replace(&mut self.pending, rest)));
            }
            if complete {
                if self.pending.last() == Some(&b'\r') {
                    self.pending.pop();
                }
                line(text_of(&std::mem::take(&mut self.pending)));
            }
        }
    }

    /// Gives out a line that has no end yet. A character that is not complete waits for its rest, unless
    /// there will be none.
    pub(super) fn flush(&mut self, at_end: bool, mut line: impl FnMut(String)) {
        let length = self.pending.len();
        let end = if at_end { length } else { whole_characters(&self.pending, length) };
        let rest = self.pending.split_off(end);
        let text = std::mem::replace(&mut self.pending, rest);
        if !text.is_empty() {
            line(text_of(&text));
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The greatest length up to `limit` that does not cut a UTF-8 character; `limit` itself when the bytes
/// there are no UTF-8.
fn whole_characters(bytes: &[u8], limit: usize) -> usize {
    let begin = limit.saturating_sub(4);
    match std::str::from_utf8(bytes.get(begin..limit).unwrap_or_default()) {
        Ok(_) => limit,
        Err(_) => (begin..limit)
            .rev()
            .take(3)
            .find(|&at| {
                let lead = bytes.get(at).copied().unwrap_or(0);
                let needed = match lead {
                    0xC2..=0xDF => 2,
                    0xE0..=0xEF => 3,
                    0xF0..=0xF4 => 4,
                    _ => 0,
                };
                at + needed > limit
            })
            .unwrap_or(limit),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::default();
        for chunk in chunks {
            splitter.push(chunk, |line| lines.push(line));
        }
        splitter.flush(true, |line| lines.push(line));
        lines
    }

    #[test]
    fn lines_are_the_same_wherever_the_chunks_end() {
        assert_eq!(split(&[b"a\nb\r\n\nc"]), ["a", "b", "", "c"]);
        assert_eq!(split(&[b"a", b"\n", b"b\r", b"\n\n", b"c"]), ["a", "b", "", "c"]);
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        assert_eq!(split(&[b"a\xff\xfeb\n"]), ["a\u{fffd}\u{fffd}b"]);
    }

    #[test]
    fn a_line_without_end_is_split_between_characters() {
        let lines = split(&["é".repeat(50_000).as_bytes()]);
        assert_eq!(lines.concat(), "é".repeat(50_000));
        assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn half_a_character_waits_for_its_rest() {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::default();
        splitter.push(b"50 \xc2", |line| lines.push(line));
        splitter.flush(false, |line| lines.push(line));
        splitter.push(b"\xb5A\n", |line| lines.push(line));
        assert_eq!(lines, ["50 ", "µA"]);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_in_splitting(text in "[a-zµ\u{1F600}\n]{0,300}", cuts in prop::collection::vec(0usize..300, 0..5)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let expected: Vec<String> = text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned).collect();
            let expected = if text.is_empty() { Vec::new() } else { expected };
            prop_assert_eq!(split(&chunks), expected);
        }
    }
}

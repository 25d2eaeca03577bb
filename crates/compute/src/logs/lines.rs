//! From bytes as they come out of a pipe to lines.

use super::MAX_TEXT;

/// Cuts a stream of bytes into lines, and lines that are too long into parts.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The part of a line that has no end yet.
    pending: Vec<u8>,
}

impl Lines {
    /// Takes `bytes`; gives each line that is complete with them, or part of a line that is too long,
    /// to `take`: the text, and whether the line goes on.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], take: &mut impl FnMut(&[u8], bool)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.push(&bytes[..end], take);
            let text = self.pending.strip_suffix(b"\r").unwrap_or(&self.pending);
            take(text, false);
            self.pending.clear();
            bytes = &bytes[end + 1..];
        }
        self.push(bytes, take);
    }

    /// Gives what is there of an unfinished line to `take`. `last`: nothing comes after it.
    pub(crate) fn flush(&mut self, last: bool, take: &mut impl FnMut(&[u8], bool)) {
        if !self.pending.is_empty() {
            // A character may still be incomplete.
            let cut = if last { self.pending.len() } else { whole_characters(&self.pending) };
            if cut > 0 {
                take(&self.pending[..cut], !last);
                self.pending.drain(..cut);
            }
        }
    }

    /// Whether an unfinished line waits for its end.
    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    fn push(&mut self, bytes: &[u8], take: &mut impl FnMut(&[u8], bool)) {
        self.pending.extend_from_slice(bytes);
        let mut from = 0;
        while self.pending.len() - from > MAX_TEXT {
            let cut = from + whole_characters(&self.pending[from..from + MAX_TEXT]);
            take(&self.pending[from..cut], true);
            from = cut;
        }
        self.pending.drain(..from);
    }
}

/// The length of `text` without the beginning of a UTF-8 character at its end. All of it if the end
/// is no such beginning.
fn whole_characters(text: &[u8]) -> usize {
    let tail = text.iter().rev().take(4).position(|byte| byte & 0b1100_0000 != 0b1000_0000);
    let Some(back) = tail else { return text.len() };
    let start = text.len() - 1 - back;
    let length = match text[start] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if start + length > text.len() && start > 0 { start } else { text.len() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut taken = Vec::new();
        let mut take = |text: &[u8], continues| taken.push((text.to_vec(), continues));
        let mut lines = Lines::default();
        for chunk in chunks {
            lines.feed(chunk, &mut take);
        }
        lines.flush(true, &mut take);
        taken
    }

    #[test]
    fn lines_are_cut_at_their_ends() {
        let want = |texts: &[&str]| -> Vec<(Vec<u8>, bool)> {
            texts.iter().map(|text| (text.as_bytes().to_vec(), false)).collect()
        };
        assert_eq!(all(&[b"a\nb", b"c\r\n\nlast"]), want(&["a", "bc", "", "last"]));
        assert_eq!(all(&[b"10%\r20%\r\n"]), want(&["10%\r20%"]));
        assert!(all(&[]).is_empty());
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let text = "é".repeat(MAX_TEXT / 2 + 10); // two bytes each
        let text = format!("x{text}\nnext\n");
        let parts = all(&[text.as_bytes()]);
        assert_eq!(parts.len(), 3);
        assert_eq!((parts[0].0.len(), parts[0].1), (MAX_TEXT - 1, true));
        assert!(std::str::from_utf8(&parts[0].0).is_ok());
        assert_eq!((parts[1].1, &parts[2].0[..]), (false, &b"next"[..]));
    }

    #[test]
    fn what_waits_is_flushed_up_to_its_last_whole_character() {
        let mut taken = Vec::new();
        let mut lines = Lines::default();
        let mut take = |text: &[u8], continues| taken.push((text.to_vec(), continues));
        lines.feed("name? é".as_bytes().split_last().unwrap().1, &mut take);
        lines.flush(false, &mut take);
        lines.feed(&[0xa9, b'\n'], &mut take);
        assert_eq!(taken, [(b"name? ".to_vec(), true), ("é".as_bytes().to_vec(), false)]);
    }

    proptest! {
        /// However the bytes come, nothing but line ends is lost, and no part is too long.
        #[test]
        fn nothing_is_lost(chunks in prop::collection::vec(prop::collection::vec(
            prop_oneof![Just(b'\n'), Just(0xc3), Just(0xa9), Just(b'a')], 0..40), 0..20)) {
            let whole: Vec<u8> = chunks.concat();
            let parts: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let mut joined = Vec::new();
            for (text, continues) in all(&parts) {
                prop_assert!(text.len() <= MAX_TEXT);
                joined.extend(text);
                if !continues {
                    joined.push(b'\n');
                }
            }
            let mut want = whole;
            if want.last().is_some_and(|last| *last != b'\n') {
                want.push(b'\n');
            }
            prop_assert_eq!(joined, want);
        }
    }
}

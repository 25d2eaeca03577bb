//! CSV answers (RFC 4180): a row a record.

use std::borrow::Cow;

use bessemer_transform::records::{Lines, LinesBuilder};

use super::ReadError;

/// One cell. A quoted one is text even if it looks like a number.
#[derive(Debug, PartialEq)]
struct Cell<'a> {
    text: Cow<'a, str>,
    quoted: bool,
}

/// The answers in `text`: a lone number as a number, a lone text as a string, several cells as an
/// array, an empty cell or a NaN as null. One row with a cell for each of several records is taken
/// for one answer a cell, as some containers write it.
pub(super) fn read(text: &str, records: usize) -> Result<Lines, ReadError> {
    let mut answers = LinesBuilder::default();
    let mut rest = text;
    let mut first_row = Vec::new();
    while !rest.is_empty() {
        let (row, after) = row(rest)?;
        rest = after;
        push_row(&mut answers, &row);
        if answers.len() == 1 {
            first_row = row;
        }
    }
    if answers.len() == records {
        return Ok(answers.finish());
    }
    if answers.len() == 1 && first_row.len() == records {
        let mut each = LinesBuilder::default();
        for cell in &first_row {
            push_row(&mut each, std::slice::from_ref(cell));
        }
        return Ok(each.finish());
    }
    Err(ReadError::WrongCount { found: answers.len() })
}

/// The first row of `text`, and what follows its line end.
fn row(text: &str) -> Result<(Vec<Cell<'_>>, &str), ReadError> {
    let mut cells = Vec::new();
    let mut rest = text;
    loop {
        let (cell, after) = if rest.starts_with('"') { quoted(rest)? } else { plain(rest) };
        cells.push(cell);
        match after.as_bytes() {
            [b',', ..] => rest = &after[1..],
            [b'\r', b'\n', ..] => return Ok((cells, &after[2..])),
            [b'\n', ..] => return Ok((cells, &after[1..])),
            [] => return Ok((cells, after)),
            _ => {
                let row: String = text.chars().take(40).collect();
                return Err(ReadError::Unreadable(format!("text after a quote in `{row}`")));
            }
        }
    }
}

fn plain(text: &str) -> (Cell<'_>, &str) {
    let end = text.find([',', '\n']).unwrap_or(text.len());
    let end = match text.as_bytes() {
        bytes if end > 0 && bytes[end - 1] == b'\r' && bytes.get(end) != Some(&b',') => end - 1,
        _ => end,
    };
    let rest = &text[end..];
    let rest = if rest == "\r" { "" } else { rest };
    (Cell { text: Cow::Borrowed(&text[..end]), quoted: false }, rest)
}

/// A quoted cell at the start of `text`; `""` within stands for one quote.
fn quoted(text: &str) -> Result<(Cell<'_>, &str), ReadError> {
    let mut content = Cow::Borrowed("");
    let mut rest = &text[1..];
    loop {
        let Some(quote) = rest.find('"') else {
            return Err(ReadError::Unreadable("a quote is never closed".to_owned()));
        };
        if content.is_empty() {
            content = Cow::Borrowed(&rest[..quote]);
        } else {
            content.to_mut().push_str(&rest[..quote]);
        }
        rest = &rest[quote + 1..];
        let Some(after) = rest.strip_prefix('"') else {
            return Ok((Cell { text: content, quoted: true }, rest));
        };
        content.to_mut().push('"');
        rest = after;
    }
}

fn push_row(answers: &mut LinesBuilder, row: &[Cell<'_>]) {
    if let [only] = row {
        push_cell(answers.buffer(), only);
    } else {
        answers.buffer().push(b'[');
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                answers.buffer().push(b',');
            }
            push_cell(answers.buffer(), cell);
        }
        answers.buffer().push(b']');
    }
    answers.end_record();
}

fn push_cell(buffer: &mut Vec<u8>, cell: &Cell<'_>) {
    let text = cell.text.trim_matches([' ', '\t']);
    if !cell.quoted {
        if text.is_empty() || text.eq_ignore_ascii_case("nan") {
            buffer.extend_from_slice(b"null");
            return;
        }
        if let Ok(number) = text.parse::<f64>()
            && number.is_finite()
        {
            push_number(buffer, text, number);
            return;
        }
    }
    let text: &str = if cell.quoted { &cell.text } else { text };
    serde_json::to_writer(buffer, text).expect("a string is written to memory");
}

/// The number as it is written, if that is JSON; `1.`, `.5` and `+1` are not.
fn push_number(buffer: &mut Vec<u8>, text: &str, number: f64) {
    if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() {
        buffer.extend_from_slice(text.as_bytes());
    } else {
        serde_json::to_writer(buffer, &number).expect("a number is written to memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_texts(text: &str, records: usize) -> Result<Vec<String>, ReadError> {
        let lines = read(text, records)?;
        Ok(lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect())
    }

    #[test]
    fn rows_become_numbers_strings_and_arrays() {
        let cases: [(&str, &[&str]); 12] = [
            ("0.5\n1e-3\n", &["0.5", "1e-3"]),
            ("0.5\r\n7\r\n", &["0.5", "7"]),
            ("0.5\n7", &["0.5", "7"]),
            ("0.5\r\n7\r", &["0.5", "7"]),
            ("a,0.5\n\"b,\"\"c\"\"\nd\",\n", &["[\"a\",0.5]", "[\"b,\\\"c\\\"\\nd\",null]"]),
            ("\"7\"\n\"\"\n", &["\"7\"", "\"\""]),
            ("\n\nnan\n", &["null", "null", "null"]),
            ("1., .5\n+2,inf\n", &["[1.0,0.5]", "[2.0,\"inf\"]"]),
            (" yes \n no\n", &["\"yes\"", "\"no\""]),
            ("12345678901234567890\n", &["12345678901234567890"]),
            ("\"\"\"\"\n", &["\"\\\"\""]),
            ("\"\"\"a\"\"b\"\n", &["\"\\\"a\\\"b\""]),
        ];
        for (text, expected) in cases {
            assert_eq!(read_texts(text, expected.len()).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn one_row_may_hold_all_answers() {
        assert_eq!(read_texts("0.1,0.2,0.3", 3).unwrap(), ["0.1", "0.2", "0.3"]);
        assert_eq!(read_texts("0.1,0.2,0.3", 1).unwrap(), ["[0.1,0.2,0.3]"]);
        assert_eq!(read_texts("0.1,0.2", 3), Err(ReadError::WrongCount { found: 1 }));
        assert_eq!(read_texts("", 3), Err(ReadError::WrongCount { found: 0 }));
    }

    #[test]
    fn broken_quotes_are_errors() {
        assert!(matches!(read_texts("\"a\n", 1), Err(ReadError::Unreadable(_))));
        assert!(matches!(read_texts("\"a\"b\n", 1), Err(ReadError::Unreadable(_))));
        assert!(matches!(read_texts("\"a\"\rb\n", 1), Err(ReadError::Unreadable(_))));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a0-9,\"\r\n. ]{0,40}", records in 1_usize..5) {
            let _ = read(&text, records);
        }

        #[test]
        fn what_is_quoted_comes_back(cells in proptest::collection::vec(".{0,8}", 2..5)) {
            let quoted: Vec<String> =
                cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            let lines = read(&format!("{}\n", quoted.join(",")), 1).unwrap();
            let back: Vec<String> = serde_json::from_slice(lines.record(0)).unwrap();
            proptest::prop_assert_eq!(back, cells);
        }
    }
}

//! Tests of `reader`.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::text::csv;

fn options(format: Format) -> TextOptions {
    let compression = Compression::None;
    TextOptions { format, compression, csv_header: CsvHeader::Auto, max_record: 1 << 20 }
}

fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(content).expect("write");
    file
}

/// What a reader gives, chunk sizes aside.
#[derive(Debug, Clone, PartialEq, Default)]
struct Read {
    header: Option<Vec<String>>,
    records: Vec<String>,
    offsets: Vec<u64>,
    bad: Vec<(usize, RejectClass, String)>,
    error: Option<String>,
}

fn read_with(content: &[u8], options: &TextOptions, rows: usize, bytes: usize) -> Read {
    let file = file(content);
    let mut reader = match TextReader::open(file.path(), options) {
        Ok(reader) => reader,
        Err(error) => return Read { error: Some(error.to_string()), ..Read::default() },
    };
    let mut read = Read { header: reader.header().map(<[_]>::to_vec), ..Read::default() };
    loop {
        match reader.next_chunk(rows, bytes) {
            Ok(None) => return read,
            Ok(Some(chunk)) => {
                assert_eq!(chunk.first_row, read.records.len() as u64);
                assert_eq!(chunk.byte_offsets.len(), chunk.lines.len());
                assert!((1..=rows.max(1)).contains(&chunk.lines.len()));
                assert!(
                    chunk.lines.len() == 1
                        || chunk.lines.text().len() <= bytes
                        || !chunk.bad.is_empty()
                );
                let first = read.records.len();
                read.bad.extend(
                    chunk.bad.into_iter().map(|bad| (first + bad.index, bad.class, bad.message)),
                );
                let texts = chunk
                    .lines
                    .iter()
                    .map(|record| String::from_utf8(record.to_vec()).expect("records are UTF-8"));
                read.records.extend(texts);
                read.offsets.extend(chunk.byte_offsets);
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                read.error = Some(format!("{error}: {}", cause.unwrap_or_default()));
                assert!(matches!(reader.next_chunk(rows, bytes), Ok(None)), "the error comes once");
                return read;
            }
        }
    }
}

fn read(content: &[u8], format: Format) -> Read {
    read_with(content, &options(format), 1000, 1 << 20)
}

fn bad_rows(read: &Read) -> Vec<(usize, RejectClass)> {
    read.bad.iter().map(|(row, class, _)| (*row, *class)).collect()
}

#[test]
fn json_lines_skip_blank_lines_and_carriage_returns() {
    let found = read(b"\xEF\xBB\xBF{\"a\":1}\r\n\r\n  \n{\"a\":2}\n{\"a\":3}", Format::JsonLines);
    assert_eq!(found.records, ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]);
    assert_eq!(found.offsets, [3, 17, 25]);
    assert!(found.bad.is_empty());
}

#[test]
fn any_line_is_a_record_of_lines() {
    let found = read(b"a\n\n [x\n", Format::Lines);
    assert_eq!(found.records, ["a", "", " [x"]);
    assert_eq!(read(b"", Format::Lines).records, [""; 0]);
}

#[test]
fn broken_utf8_rejects_its_record_only() {
    let found = read(b"{\"a\":1}\n{\"a\":\"\xFF\"}\n{\"a\":3}\n", Format::JsonLines);
    assert_eq!(found.records, ["{\"a\":1}", "{\"a\":\"\u{FFFD}\"}", "{\"a\":3}"]);
    assert_eq!(bad_rows(&found), [(1, RejectClass::Parse)]);
    assert!(found.bad[0].2.contains("at byte 6"), "{}", found.bad[0].2);
}

#[test]
fn too_large_records_are_cut_and_skipped() {
    let long = "é".repeat(300_000);
    let content = format!("{{\"a\":1}}\n\"{long}\"\n{{\"a\":3}}\n{long}");
    for format in [Format::JsonLines, Format::Csv, Format::Lines] {
        let options =
            TextOptions { max_record: 100_000, csv_header: CsvHeader::No, ..options(format) };
        let found = read_with(content.as_bytes(), &options, 2, 1 << 20);
        assert_eq!(found.records.len(), 4);
        assert_eq!(bad_rows(&found), [(1, RejectClass::TooLarge), (3, RejectClass::TooLarge)]);
        assert!((4000..=4096).contains(&found.records[1].len()), "{}", found.records[1].len());
        assert_eq!(found.records[2], "{\"a\":3}");
        assert_eq!(found.offsets[2], 8 + 600_000 + 3);
    }
}

#[test]
fn a_record_of_the_largest_size_is_whole() {
    let options = TextOptions { max_record: 10, ..options(Format::Lines) };
    let found = read_with(b"0123456789\r\n0123456789\n01234567890\n0123456789", &options, 9, 99);
    assert_eq!(bad_rows(&found), [(2, RejectClass::TooLarge)]);
    assert_eq!(found.records[3], "0123456789");
}

#[test]
fn csv_headers_are_told_from_rows() {
    let header = |text: &str, wanted| {
        let options = TextOptions { csv_header: wanted, ..options(Format::Csv) };
        read_with(text.as_bytes(), &options, 9, 999).header
    };
    let names = Some(vec!["a".to_owned(), "b c".to_owned()]);
    assert_eq!(header("a,\"b c\"\n1,2\n", CsvHeader::Auto), names);
    assert_eq!(header("\n\na, b c \n1,2\n", CsvHeader::Auto), names);
    assert_eq!(header("1,2\n3,4\n", CsvHeader::Auto), None);
    assert_eq!(header("a,a\n", CsvHeader::Auto), None);
    assert_eq!(header("a,\n", CsvHeader::Auto), None);
    assert_eq!(header("a,nan\n", CsvHeader::Auto), None);
    assert_eq!(header("a,b c\n", CsvHeader::No), None);
    assert_eq!(header("1,2\n", CsvHeader::Yes), Some(vec!["1".to_owned(), "2".to_owned()]));
    assert_eq!(header("", CsvHeader::Yes), None);
}

#[test]
fn ragged_rows_are_bad_and_stay() {
    let found = read(b"a,b\n1,2\n3\n4,5,6\n7,\"8\n9\"\n", Format::Csv);
    assert_eq!(found.records, ["1,2", "3", "4,5,6", "7,\"8\n9\""]);
    assert_eq!(bad_rows(&found), [(1, RejectClass::Parse), (2, RejectClass::Parse)]);
    assert_eq!(found.bad[0].2, "the row has 1 cells, the header has 2");
}

#[test]
fn an_open_quote_costs_one_record() {
    // The end of the file comes first.
    let found = read(b"a,b\n1,2\n3,\"4\n5,6\n7,8\n", Format::Csv);
    assert_eq!(found.records, ["1,2", "3,\"4", "5,6", "7,8"]);
    assert_eq!(bad_rows(&found), [(1, RejectClass::Parse)]);
    // Another quoted cell comes first.
    let found = read(b"a,b\n1,2\n3,\"4\n5,\"x,y\"\n7,8\n", Format::Csv);
    assert_eq!(found.records, ["1,2", "3,\"4", "5,\"x,y\"", "7,8"]);
    assert_eq!(bad_rows(&found), [(1, RejectClass::Parse)]);
    // The largest record comes first.
    let mut content = "a,b\n3,\"4\n".to_owned();
    content.extend((0..100_000).map(|row| format!("{row},5\n")));
    let options = TextOptions { max_record: 1000, ..options(Format::Csv) };
    let found = read_with(content.as_bytes(), &options, 7000, 1 << 20);
    assert_eq!(found.records.len(), 100_001);
    assert_eq!(bad_rows(&found), [(0, RejectClass::Parse)]);
}

#[test]
fn quotes_within_a_line_are_read_as_others_do() {
    let found = read(b"a,b\n5\" disk,x\n\"5\" disk\",y\n\"q\"\r\n,z\n", Format::Csv);
    assert_eq!(found.records, ["5\" disk,x", "\"5\" disk\",y", "\"q\"", ",z"]);
    assert_eq!(bad_rows(&found), [(2, RejectClass::Parse)]);
}

#[test]
fn one_json_document_is_refused_with_the_fix() {
    for document in [
        "[\n  {\"a\": 1},\n  {\"a\": 2}\n]\n",
        "[{\"a\": 1},\n {\"a\": 2}]\n",
        "[[1,2],\n[3,4]]\n",
        "[{\"a\": 1}, {\"a\": 2}]",
        "[{\"a\": 1}, {\"a\": 2}]\n\n",
        "\n{\n  \"a\": 1\n}\n",
    ] {
        let error = read(document.as_bytes(), Format::JsonLines).error.expect(document);
        assert!(error.contains("jq -c"), "{error}");
    }
    for lines in [
        "[1,2]\n[3,4]\n",
        "[[1],[2]]\n[[3],[4]]\n",
        "[1,2\n[3,4]\n",
        "[{\"a\":1}]\n[{\"a\":2}]\n",
        "[]\n",
    ] {
        assert_eq!(read(lines.as_bytes(), Format::JsonLines).error, None, "{lines}");
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).expect("write");
    encoder.finish().expect("finish")
}

fn numbered(rows: usize) -> Vec<u8> {
    (0..rows)
        .flat_map(|row| format!("{{\"row\":{row},\"x\":{}}}\n", row * 7919 % 1000).into_bytes())
        .collect()
}

#[test]
fn several_members_and_frames_are_one_text() {
    let (one, two) = (numbered(1000), numbered(500));
    let packed = [gzip(&one), gzip(&two)].concat();
    let gzipped = TextOptions { compression: Compression::Gzip, ..options(Format::JsonLines) };
    assert_eq!(read_with(&packed, &gzipped, 999, 1 << 20).records.len(), 1500);
    let zstd = |text: &[u8]| zstd::encode_all(text, 1).expect("zstd");
    let packed = [zstd(&one), zstd(&two)].concat();
    let zstded = TextOptions { compression: Compression::Zstd, ..options(Format::JsonLines) };
    assert_eq!(read_with(&packed, &zstded, 999, 1 << 20).records.len(), 1500);
    assert_eq!(read_with(b"", &zstded, 9, 9).error, None);
}

#[test]
fn a_cut_stream_gives_what_came_before_and_then_the_error() {
    let text = numbered(50_000);
    let whole = read(&text, Format::JsonLines);
    let packings = [
        (Compression::Gzip, gzip(&text)),
        (Compression::Zstd, zstd::encode_all(&text[..], 1).expect("zstd")),
    ];
    for (compression, packed) in packings {
        for format in [Format::JsonLines, Format::Csv] {
            let csv_header = CsvHeader::No;
            let options = TextOptions { compression, csv_header, ..options(format) };
            let found = read_with(&packed[..packed.len() * 2 / 3], &options, 700, 1 << 20);
            let error = found.error.expect("an error");
            assert!(error.contains("after ") && error.contains(" records"), "{error}");
            assert!(found.records.len() > 1000, "{} records", found.records.len());
            assert_eq!(found.records[..], whole.records[..found.records.len()]);
        }
    }
}

fn any_format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::JsonLines), Just(Format::Csv), Just(Format::Lines)]
}

proptest! {
    #[test]
    fn chunk_sizes_change_nothing(
        content in "(\\{\"a\":1\\}|[a\",\\r\\n é]|\n){0,40}",
        format in any_format(),
        rows in 1_usize..5,
        bytes in 1_usize..40,
        max_record in 1_usize..30,
    ) {
        let options = TextOptions { max_record, ..options(format) };
        let whole = read_with(content.as_bytes(), &options, 1000, 1 << 20);
        let parts = read_with(content.as_bytes(), &options, rows, bytes);
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn any_cells_survive_a_file(
        rows in proptest::collection::vec(proptest::collection::vec("[a\",\\n\\r é1]{0,5}", 3), 1..8),
        crlf in any::<bool>(),
        chunk in 1_usize..4,
    ) {
        let mut content = Vec::new();
        for row in &rows {
            for (index, cell) in row.iter().enumerate() {
                if index > 0 {
                    content.push(b',');
                }
                csv::write_cell(cell.as_bytes(), &mut content);
            }
            content.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        }
        let options = TextOptions { csv_header: CsvHeader::No, ..options(Format::Csv) };
        let found = read_with(&content, &options, chunk, 1 << 20);
        prop_assert!(found.bad.is_empty(), "{:?}", found.bad);
        let cells = |record: &String| -> Vec<String> {
            csv::cells(record.as_bytes())
                .map(|cell| String::from_utf8_lossy(&cell.text()).into_owned())
                .collect()
        };
        prop_assert_eq!(found.records.iter().map(cells).collect::<Vec<_>>(), rows);
    }

    #[test]
    fn no_bytes_make_it_panic(
        content in proptest::collection::vec(any::<u8>(), 0..200),
        format in any_format(),
        packing in 0_usize..3,
        max_record in 1_usize..50,
    ) {
        let compression = [Compression::None, Compression::Gzip, Compression::Zstd][packing];
        let options = TextOptions { compression, max_record, ..options(format) };
        read_with(&content, &options, 3, 50);
    }

    #[test]
    fn no_damage_to_a_packed_file_makes_it_panic(
        at in 0_usize..300,
        byte in any::<u8>(),
        zstd in any::<bool>(),
    ) {
        let text = numbered(100);
        let (compression, mut packed) = if zstd {
            (Compression::Zstd, zstd::encode_all(&text[..], 1).expect("zstd"))
        } else {
            (Compression::Gzip, gzip(&text))
        };
        let at = at % packed.len();
        packed[at] = byte;
        let options = TextOptions { compression, ..options(Format::JsonLines) };
        read_with(&packed, &options, 7, 500);
    }
}

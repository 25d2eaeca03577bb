//! Tests of `to_columns`.

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{Fields, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampSecondType},
    util::display::array_value_to_string,
};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn wanted(name: &str, position: usize, data_type: DataType, nullable: bool) -> WantedField {
    WantedField { name: Some(name.to_owned()), position, data_type, nullable, optional: nullable }
}

/// The same column, found by its place only.
fn unnamed(field: &WantedField) -> WantedField {
    WantedField { name: None, ..field.clone() }
}

fn read(
    kind: SourceKind,
    fields: &[WantedField],
    records: &[&str],
) -> (RecordBatch, Vec<(usize, RowError)>) {
    ColumnReader::new(fields, kind).read(&records.iter().collect(), &|_| false)
}

/// One column of one type, as Arrow shows its values; `!` marks rejected rows.
fn column(kind: SourceKind, data_type: DataType, values: &[&str]) -> Vec<String> {
    let records: Vec<String> = match kind {
        SourceKind::JsonLines => values.iter().map(|value| format!("{{\"x\":{value}}}")).collect(),
        SourceKind::Csv => values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let (batch, errors) = read(kind, &[wanted("x", 0, data_type, true)], &records);
    let shown = |row| array_value_to_string(batch.column(0), row).expect("a value");
    (0..batch.num_rows())
        .map(
            |row| if errors.iter().any(|(at, _)| *at == row) { "!".to_owned() } else { shown(row) },
        )
        .collect()
}

fn messages(errors: &[(usize, RowError)]) -> Vec<(usize, RejectClass, &str)> {
    errors.iter().map(|(row, error)| (*row, error.class, error.message.as_str())).collect()
}

#[test]
fn objects_are_read_by_name_and_arrays_by_position() {
    let fields = [wanted("b", 1, DataType::Float32, false), wanted("a", 0, DataType::Int64, true)];
    let records = [
        "{\"a\":1,\"b\":2.5,\"c\":[{}]}",
        " {\"b\" : 3, \"\\u0061\" : 4} ",
        "{\"b\":7}",
        "{\"b\":1,\"b\":8}",
    ];
    let (batch, errors) = read(SourceKind::JsonLines, &fields, &records);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(batch.column(0).as_primitive::<Float32Type>().values(), &[2.5, 3.0, 7.0, 8.0]);
    let a: Vec<_> = batch.column(1).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(a, [Some(1), Some(4), None, None]);
    let fields = fields.map(|field| unnamed(&field));
    let (batch, errors) =
        read(SourceKind::JsonLines, &fields, &["[5,6]", "{\"x\":7,\"y\":8}", "[]"]);
    assert_eq!(
        messages(&errors),
        [(2, RejectClass::MissingFeature, "feature `column_1` is absent")]
    );
    let b = batch.column(0).as_primitive::<Float32Type>().iter();
    assert_eq!(b.collect::<Vec<_>>(), [Some(6.0), Some(8.0), None]);
}

#[test]
fn each_fault_names_its_class_field_and_value() {
    let fields = [wanted("a", 0, DataType::Float32, false), wanted("b", 1, DataType::Int64, true)];
    let long = format!("{{\"a\":\"{}\"}}", "é".repeat(100));
    let records = [
        "{\"a\":1,\"b\":2}",
        "{\"a\":1,\"b\":2",
        "{\"b\":2}",
        "{\"a\":null}",
        "{\"a\":1,\"b\":2.5}",
        &long,
        "{\"a\":NaN}",
        "[1]",
        "3",
        "{\"a\":{\"x\":1}}",
        "{\"a\":\"x\",\"b\":}",
    ];
    let (batch, errors) = read(SourceKind::JsonLines, &fields, &records);
    let shown = format!("feature `a`: `\"{}…` is no float32", "é".repeat(79));
    let (missing, parse, mistyped) =
        (RejectClass::MissingFeature, RejectClass::Parse, RejectClass::Type);
    let expected = [
        (1, parse, "malformed JSON: expected `,` or `}` at byte 12"),
        (2, missing, "feature `a` is absent"),
        (3, missing, "feature `a` is null"),
        (4, mistyped, "feature `b`: `2.5` is no int64"),
        (5, mistyped, shown.as_str()),
        (6, parse, "malformed JSON: expected a value at byte 5"),
        (7, parse, "an array where the other records are objects"),
        (8, parse, "malformed JSON: expected an object or an array at byte 0"),
        (9, mistyped, "feature `a`: `{\"x\":1}` is no float32"),
        (10, parse, "malformed JSON: expected a value at byte 13"),
    ];
    assert_eq!(messages(&errors), expected);
    assert_eq!(batch.num_rows(), records.len());
    assert_eq!(batch.column(0).null_count(), expected.len());
    assert_eq!(batch.column(1).null_count(), expected.len());
}

#[test]
fn an_absent_value_is_a_null_only_where_it_may_be() {
    let strict = |name| WantedField { optional: false, ..wanted(name, 0, DataType::Float32, true) };
    let read_one = |field: WantedField, record| read(SourceKind::JsonLines, &[field], &[record]).1;
    let absent = |name| {
        format!(
            "feature `{name}` is absent: send a missing value as `null`, or count absent ones as \
             null with `--nulls nan`"
        )
    };
    assert_eq!(
        messages(&read_one(strict("a"), "{\"b\":1}")),
        [(0, RejectClass::MissingFeature, absent("a").as_str())]
    );
    assert_eq!(
        messages(&read_one(unnamed(&strict("a")), "[]")),
        [(0, RejectClass::MissingFeature, absent("column_0").as_str())]
    );
    let ragged = WantedField { position: 1, ..strict("b") };
    assert_eq!(
        messages(&read(SourceKind::Csv, std::slice::from_ref(&ragged), &["1"]).1),
        [(
            0,
            RejectClass::MissingFeature,
            "feature `b` is absent: send a missing value as an empty cell"
        )]
    );
    assert!(read(SourceKind::Csv, &[ragged], &["1,"]).1.is_empty());
    assert!(read_one(strict("a"), "{\"a\":null}").is_empty());
    assert!(read_one(wanted("a", 0, DataType::Float32, true), "{\"b\":1}").is_empty());
    let optional = WantedField { optional: true, ..wanted("a", 0, DataType::Float32, false) };
    assert_eq!(
        messages(&read_one(optional, "{}")),
        [(0, RejectClass::MissingFeature, "feature `a` is absent")]
    );
}

#[test]
fn skipped_records_are_rows_of_nulls() {
    let reader = ColumnReader::new(&[wanted("a", 0, DataType::Utf8, false)], SourceKind::JsonLines);
    let lines = ["broken", "{\"a\":\"x\"}"].into_iter().collect();
    let (batch, errors) = reader.read(&lines, &|row| row == 0);
    assert!(errors.is_empty());
    assert!(batch.column(0).is_null(0) && batch.column(0).is_valid(1));
}

#[test]
fn a_column_may_be_wanted_twice() {
    let fields =
        [0, 1, 0].map(|position| wanted(["a", "b"][position], position, DataType::Int64, false));
    for (kind, record) in [(SourceKind::JsonLines, "{\"a\":1,\"b\":2}"), (SourceKind::Csv, "1,2")] {
        let (batch, errors) = read(kind, &fields, &[record]);
        assert!(errors.is_empty(), "{errors:?}");
        let values =
            batch.columns().iter().map(|column| column.as_primitive::<Int64Type>().value(0));
        assert_eq!(values.collect::<Vec<_>>(), [1, 2, 1]);
    }
}

#[test]
fn no_wanted_columns_still_count_and_check_records() {
    let (batch, errors) = read(SourceKind::JsonLines, &[], &["{}", "{"]);
    assert_eq!((batch.num_rows(), batch.num_columns(), errors.len()), (2, 0, 1));
}

#[test]
fn deep_nesting_is_a_broken_record() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for name in ["x", "y"] {
        let fields = [wanted(name, 0, DataType::Utf8, true)];
        let (_, errors) = read(SourceKind::JsonLines, &fields, &[&deep]);
        assert_eq!(errors[0].1.class, RejectClass::Parse);
        assert!(errors[0].1.message.contains("nested deeper"), "{}", errors[0].1.message);
    }
}

#[test]
fn json_values_are_cast() {
    let json = |data_type, values: &[&str]| column(SourceKind::JsonLines, data_type, values);
    assert_eq!(
        json(DataType::Int8, &["127", "-128.0", "128", "1e2", "\"5\"", "true", "null"]),
        ["127", "-128", "!", "100", "5", "1", ""]
    );
    assert_eq!(
        json(DataType::UInt64, &["18446744073709551615", "-1"]),
        ["18446744073709551615", "!"]
    );
    assert_eq!(
        json(DataType::Float32, &["0.1", "1e300", "\"nan\"", "[]"]),
        ["0.1", "!", "NaN", "!"]
    );
    assert_eq!(json(DataType::Float16, &["1.5", "1e6"]), ["1.5", "!"]);
    assert_eq!(
        json(DataType::Boolean, &["true", "false", "1", "\"F\"", "2"]),
        ["true", "false", "true", "false", "!"]
    );
    let text = ["\"a\\n\\u00e9\"", "1.50", "true", "[1, 2]", "\"\\ud800\""];
    assert_eq!(json(DataType::Utf8, &text), ["a\né", "1.50", "true", "[1, 2]", "!"]);
    assert_eq!(json(DataType::LargeUtf8, &text[..2]), ["a\né", "1.50"]);
    assert_eq!(json(DataType::Utf8View, &text[..2]), ["a\né", "1.50"]);
    let words = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    assert_eq!(json(words, &["\"a\""]), ["a"]);
    assert_eq!(json(DataType::Binary, &["\"AAH/\"", "\"?\""]), ["0001ff", "!"]);
    assert_eq!(
        json(DataType::FixedSizeBinary(3), &["\"AAH/\"", "null", "\"AAE=\""]),
        ["0001ff", "", "!"]
    );
    assert_eq!(
        json(DataType::Decimal128(5, 2), &["1.5", "\"-123.45\"", "12345", "\"x\""]),
        ["1.50", "-123.45", "!", "!"]
    );
    assert_eq!(
        json(DataType::Date32, &["\"2024-02-29\"", "\"2023-02-29\"", "0"]),
        ["2024-02-29", "!", "1970-01-01"]
    );
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let times = [
        "\"2024-01-02T03:04:05.678Z\"",
        "\"2024-01-02 03:04:05\"",
        "\"2024-01-02T03:04:05+02:00\"",
        "1000000",
    ];
    let shown = [
        "2024-01-02T03:04:05.678",
        "2024-01-02T03:04:05",
        "2024-01-02T01:04:05",
        "1970-01-01T00:00:01",
    ];
    assert_eq!(json(micros, &times), shown);
    let zoned = DataType::Timestamp(TimeUnit::Second, Some("+00:00".into()));
    assert_eq!(json(zoned, &["\"2024-01-02T03:04:05\"", "true"]), ["2024-01-02T03:04:05Z", "!"]);
    assert_eq!(
        json(DataType::Time64(TimeUnit::Microsecond), &["\"03:04:05.5\""]),
        ["03:04:05.500"]
    );
    assert_eq!(json(DataType::Duration(TimeUnit::Second), &["90", "\"x\""]), ["PT90S", "!"]);
    assert_eq!(json(DataType::Null, &["null", "1"]), ["", "!"]);
}

#[test]
fn nested_json_values_are_cast() {
    let json = |data_type, values: &[&str]| column(SourceKind::JsonLines, data_type, values);
    let item = |data_type, nullable| Arc::new(Field::new("item", data_type, nullable));
    let list = DataType::List(item(DataType::Float32, true));
    assert_eq!(
        json(list, &["[1, 2.5, null]", "[]", "null", "[\"x\"]", "1", "[4]"]),
        ["[1.0, 2.5, ]", "[]", "", "!", "!", "[4.0]"]
    );
    let strict = DataType::LargeList(item(DataType::Int64, false));
    assert_eq!(json(strict, &["[1]", "[null]", "null"]), ["[1]", "!", ""]);
    let pair = DataType::FixedSizeList(item(DataType::Float64, false), 2);
    assert_eq!(
        json(pair, &["[1,2]", "[1]", "null", "[1,2,3]", "[3,4]"]),
        ["[1.0, 2.0]", "!", "", "!", "[3.0, 4.0]"]
    );
    let point = DataType::Struct(Fields::from(vec![
        Field::new("x", DataType::Int64, false),
        Field::new("tags", DataType::List(item(DataType::Utf8, true)), true),
    ]));
    let values = [
        "{\"x\":1,\"tags\":[\"a\"],\"z\":{}}",
        "{\"tags\":[]}",
        "{\"tags\":null,\"x\":2}",
        "null",
        "[]",
        "{\"x\":3",
    ];
    assert_eq!(
        json(point.clone(), &values),
        ["{x: 1, tags: [a]}", "!", "{x: 2, tags: }", "", "!", "!"]
    );
    let points = DataType::List(item(point, true));
    assert_eq!(
        json(points, &["[{\"x\":1},null]", "[{\"x\":1},{\"x\":\"y\"}]"]),
        ["[{x: 1, tags: }, ]", "!"]
    );
    assert_eq!(json(DataType::Struct(Fields::empty()), &["{\"a\":1}", "null"]), ["{}", ""]);
}

#[test]
fn csv_cells_are_cast() {
    let csv = |data_type, values: &[&str]| column(SourceKind::Csv, data_type, values);
    assert_eq!(
        csv(DataType::Float64, &["1.5", " .5 ", "+2", "NaN", "-inf", "", "\"\"", "\"3\"", "x"]),
        ["1.5", "0.5", "2.0", "NaN", "-inf", "", "", "3.0", "!"]
    );
    assert_eq!(csv(DataType::Int64, &["007", "3.0", "3.5", "+4"]), ["7", "3", "!", "4"]);
    assert_eq!(
        csv(DataType::Utf8, &["a", "", "\"\"", "\"x\"\"y\"", " "]),
        ["a", "", "", "x\"y", " "]
    );
    let (batch, _) = read(SourceKind::Csv, &[wanted("x", 0, DataType::Utf8, true)], &["", "\"\""]);
    assert!(batch.column(0).is_null(0) && batch.column(0).is_valid(1));
    assert_eq!(csv(DataType::Boolean, &["TRUE", "f", "0", "no"]), ["true", "false", "false", "!"]);
    assert_eq!(csv(DataType::Date32, &["2024-01-02"]), ["2024-01-02"]);
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
    assert_eq!(csv(list, &["\"[1,2]\"", "[3]", "[3"]), ["[1, 2]", "[3]", "!"]);
}

#[test]
fn csv_rows_are_read_by_position() {
    let fields =
        [wanted("c", 2, DataType::Float64, true), wanted("a", 0, DataType::Float64, false)];
    let (batch, errors) =
        read(SourceKind::Csv, &fields, &["1,x,3", "4,x,", ",x,6", "7", "\"8\",\",\",\"9\""]);
    let values = |column: usize| {
        batch.column(column).as_primitive::<Float64Type>().iter().collect::<Vec<_>>()
    };
    assert_eq!(values(0), [Some(3.0), None, None, None, Some(9.0)]);
    assert_eq!(values(1), [Some(1.0), Some(4.0), None, Some(7.0), Some(8.0)]);
    assert_eq!(messages(&errors), [(2, RejectClass::MissingFeature, "feature `a` is null")]);
}

fn inferred(kind: SourceKind, records: &[&str], header: Option<&[&str]>) -> Vec<String> {
    let header: Option<Vec<String>> =
        header.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let schema = infer_schema(kind, &records.iter().collect(), header.as_deref());
    schema
        .fields()
        .iter()
        .map(|field| format!("{}: {}", field.name(), type_name(field.data_type())))
        .collect()
}

#[test]
fn json_types_are_inferred() {
    let records = [
        "{\"i\":1,\"f\":1,\"b\":true,\"s\":\"x\",\"n\":null,\"l\":[1,null],\"o\":{\"p\":1},\"e\":{}}",
        "broken",
        "[1]",
        "{\"f\":1.5,\"i\":null,\"m\":1,\"l\":[2.5],\"o\":{\"q\":[\"x\"]}}",
        "{\"m\":\"x\",\"big\":18446744073709551615}",
    ];
    let expected = [
        "i: int64",
        "f: float64",
        "b: bool",
        "s: utf8",
        "n: utf8",
        "l: list<float64>",
        "o: struct<p: int64, q: list<utf8>>",
        "e: utf8",
        "m: utf8",
        "big: float64",
    ];
    assert_eq!(inferred(SourceKind::JsonLines, &records, None), expected);
    let arrays = ["[1,\"a\"]", "[1.5]", "[2,null,[]]"];
    let expected = ["column_0: float64", "column_1: utf8", "column_2: list<utf8>"];
    assert_eq!(inferred(SourceKind::JsonLines, &arrays, None), expected);
    assert!(inferred(SourceKind::JsonLines, &[], None).is_empty());
}

#[test]
fn csv_types_are_inferred() {
    let rows = [
        "1,1,x,2024-01-02,2024-01-02 03:04:05,true,007,",
        "-2,,1,2024-01-03,2024-01-02,false,1,",
        "ragged",
        "3,2.5,,,,,,",
    ];
    let expected = [
        "a: int64",
        "b: float64",
        "c: utf8",
        "d: date",
        "e: timestamp(µs)",
        "f: bool",
        "g: utf8",
        "h: utf8",
    ];
    let header = ["a", "b", "c", "d", "e", "f", "g", "h"];
    assert_eq!(inferred(SourceKind::Csv, &rows, Some(&header)), expected);
    assert_eq!(inferred(SourceKind::Csv, &["1,x"], None), ["column_0: int64", "column_1: utf8"]);
    assert_eq!(inferred(SourceKind::Csv, &[], Some(&["a"])), ["a: utf8"]);
}

#[test]
fn what_is_inferred_reads_without_errors() {
    let rows = ["1,2024-01-02,x", ",,", "2.5,2024-01-02T10:00:00,\"y\"\"z\""];
    let lines: Lines = rows.iter().collect();
    let schema = infer_schema(SourceKind::Csv, &lines, None);
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| wanted(field.name(), position, field.data_type().clone(), true))
        .collect();
    let (batch, errors) = read(SourceKind::Csv, &fields, &rows);
    assert!(errors.is_empty(), "{errors:?}");
    let seconds =
        cast(batch.column(1), &DataType::Timestamp(TimeUnit::Second, None)).expect("cast");
    assert_eq!(seconds.as_primitive::<TimestampSecondType>().value(2), 1_704_189_600);
}

/// What a record gives, read the slow way.
#[derive(Debug, PartialEq)]
enum Naive {
    Row(Option<f64>, Option<i64>, Option<String>),
    Bad(RejectClass),
}

fn naive_float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::String(text) => text.trim_matches(|c: char| c.is_ascii_whitespace()).parse().ok(),
        _ => None,
    }
}

fn naive_int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64)
        }),
        Value::Bool(value) => Some(i64::from(*value)),
        Value::String(text) => {
            let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
            let as_number = || serde_json::from_str::<serde_json::Number>(text).ok();
            text.parse().ok().or_else(|| naive_int(&Value::Number(as_number()?)))
        }
        _ => None,
    }
}

fn naive(record: &str) -> Naive {
    let Ok(value) = serde_json::from_str::<Value>(record) else {
        return Naive::Bad(RejectClass::Parse);
    };
    let (x, i, s) = match &value {
        Value::Object(members) => (members.get("x"), members.get("i"), members.get("s")),
        Value::Array(items) => (items.first(), items.get(1), items.get(2)),
        _ => return Naive::Bad(RejectClass::Parse),
    };
    let given = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    let x_value = given(x).map(|value| naive_float(&value));
    let i_value = given(i).map(|value| naive_int(&value));
    if x_value == Some(None) || i_value == Some(None) {
        return Naive::Bad(RejectClass::Type);
    }
    let text = given(s).map(|value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    });
    match x_value {
        None => Naive::Bad(RejectClass::MissingFeature),
        Some(x) => Naive::Row(x, i_value.flatten(), text),
    }
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<i32>().prop_map(|value| value.to_string()),
        4 => any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| serde_json::to_string(&value).expect("JSON")),
        2 => ".{0,12}".prop_map(|text| serde_json::to_string(&text).expect("JSON")),
        1 => Just("null".to_owned()),
        1 => Just("true".to_owned()),
        1 => Just("[1,{\"a\":[]}]".to_owned()),
        1 => Just("{\"x\":[null]}".to_owned()),
        1 => "[0-9.e+-]{1,6}",
        1 => Just("tru".to_owned()),
    ]
}

fn any_record() -> impl Strategy<Value = String> {
    let names =
        proptest::sample::subsequence(vec!["x", "i", "s", "other", "\\u0078"], 0..4).prop_shuffle();
    let values = proptest::collection::vec(any_value(), 4);
    (names, values, any::<bool>(), "( |,)?").prop_map(|(names, values, object, end)| {
        // Twice the same name would need the reader's rule for faults in the first.
        let twice = names.contains(&"x") && names.contains(&"\\u0078");
        let names = names.iter().filter(|name| !twice || **name != "x");
        if object {
            let members: Vec<String> =
                names.zip(&values).map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}{end}}}", members.join(", "))
        } else {
            format!("[{}]{end}", values.join(" ,"))
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn it_agrees_with_a_naive_reader(records in proptest::collection::vec(any_record(), 1..6)) {
        let fields = [
            wanted("x", 0, DataType::Float64, false),
            wanted("i", 1, DataType::Int64, true),
            wanted("s", 2, DataType::Utf8, true),
        ];
        let refs: Vec<&str> = records.iter().map(String::as_str).collect();
        let places = fields.clone().map(|field| unnamed(&field));
        let by_name = read(SourceKind::JsonLines, &fields, &refs);
        let by_place = read(SourceKind::JsonLines, &places, &refs);
        for (row, record) in records.iter().enumerate() {
            let (batch, errors) = if record.starts_with('[') { &by_place } else { &by_name };
            let expected = naive(record);
            let well_formed = serde_json::from_str::<serde::de::IgnoredAny>(record).is_ok();
            if expected == Naive::Bad(RejectClass::Parse) && well_formed && record.contains('e') {
                // A number beyond float64: well formed, but no `serde_json::Value`.
                continue;
            }
            let error = errors.iter().find(|(at, _)| *at == row);
            match expected {
                Naive::Bad(class) => {
                    let found = error.map(|(_, error)| error.class);
                    // Of several faults, the first in the text is told.
                    let null_first = class == RejectClass::Type
                        && found == Some(RejectClass::MissingFeature)
                        && record.contains("null");
                    prop_assert!(found == Some(class) || null_first, "{}: {:?}", record, found);
                    prop_assert!((0..3).all(|column| batch.column(column).is_null(row)));
                }
                Naive::Row(x, i, s) => {
                    if let Some((_, error)) = error {
                        // An integer that a float64 only comes near.
                        prop_assert!(error.class == RejectClass::Type && i.is_some_and(|i| i.unsigned_abs() > 1 << 53), "{}: {:?}", record, error);
                        continue;
                    }
                    let found = batch.column(0).as_primitive::<Float64Type>().value(row);
                    prop_assert_eq!(Some(found.to_bits()), x.map(f64::to_bits), "{}", record);
                    let ints = batch.column(1).as_primitive::<Int64Type>();
                    let found = ints.is_valid(row).then(|| ints.value(row));
                    prop_assert!(found == i || i.is_some_and(|i| i.unsigned_abs() > 1 << 53), "{}", record);
                    let texts = batch.column(2).as_string::<i32>();
                    let found = texts.is_valid(row).then(|| texts.value(row).to_owned());
                    let is_text = !s.as_deref().is_some_and(|text| text.starts_with(['[', '{', '-']) || text.starts_with(|c: char| c.is_ascii_digit()));
                    prop_assert!(found == s || !is_text, "{}: {:?}", record, found);
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5),
        json in any::<bool>(),
    ) {
        let kind = if json { SourceKind::JsonLines } else { SourceKind::Csv };
        let lines: Lines = records.iter().collect();
        let schema = infer_schema(kind, &lines, None);
        let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
        let fields: Vec<WantedField> = schema
            .fields()
            .iter()
            .map(|field| field.data_type().clone())
            .chain([DataType::Utf8, DataType::Float32, DataType::Date32, list])
            .enumerate()
            .map(|(position, data_type)| wanted(&format!("column_{position}"), position, data_type, true))
            .collect();
        let (batch, _) = ColumnReader::new(&fields, kind).read(&lines, &|_| false);
        prop_assert_eq!(batch.num_rows(), records.len());
    }

    #[test]
    fn no_token_soup_makes_it_panic(records in proptest::collection::vec("(\\{\"x\":|\\[|\\]|\\}|,|\"|1|null|\\\\ud800|e){0,12}", 1..4)) {
        let point = DataType::Struct(Fields::from(vec![Field::new("x", DataType::Float32, true)]));
        let list = DataType::List(Arc::new(Field::new("item", point.clone(), true)));
        for data_type in [point, list, DataType::Utf8, DataType::Decimal128(4, 1), DataType::FixedSizeBinary(2)] {
            let records: Vec<&str> = records.iter().map(String::as_str).collect();
            let (batch, _) = read(SourceKind::JsonLines, &[wanted("x", 0, data_type, true)], &records);
            prop_assert_eq!(batch.num_rows(), records.len());
        }
    }
}

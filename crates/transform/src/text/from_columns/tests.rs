//! Tests of `from_columns`.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
        FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray, MapBuilder,
        StringArray, StringBuilder, StringViewArray, StructArray, TimestampMillisecondArray,
        UInt64Array,
    },
    datatypes::{Field, Float64Type, Int8Type, Int32Type, Schema},
};
use proptest::prelude::*;

use super::*;
use crate::text::to_columns::{ColumnReader, SourceKind, WantedField};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("a batch")
}

fn texts(lines: &Lines) -> Vec<&str> {
    lines.iter().map(|line| std::str::from_utf8(line).expect("UTF-8")).collect()
}

fn flat() -> RecordBatch {
    batch(vec![
        ("i", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("f\"", Arc::new(Float32Array::from(vec![0.1, f32::NAN]))),
        ("d", Arc::new(Float64Array::from(vec![1e21, f64::NEG_INFINITY]))),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("s", Arc::new(StringArray::from(vec![Some("a \"b\",\n\u{1}é"), Some("")]))),
    ])
}

#[test]
fn flat_columns_become_json_lines() {
    let lines = to_json_lines(&flat()).expect("lines");
    let expected = [
        "{\"i\":-9223372036854775808,\"u\":18446744073709551615,\"f\\\"\":0.1,\"d\":1e21,\"b\":true,\"s\":\"a \\\"b\\\",\\n\\u0001é\"}",
        "{\"i\":null,\"u\":0,\"f\\\"\":null,\"d\":null,\"b\":null,\"s\":\"\"}",
    ];
    let shown: Vec<serde_json::Value> =
        texts(&lines).iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let expected: Vec<serde_json::Value> =
        expected.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(shown, expected);
}

#[test]
fn flat_columns_become_csv() {
    let lines = to_csv(&flat()).expect("lines");
    assert_eq!(texts(&lines)[1], ",0,NaN,-inf,,\"\"",);
    assert!(texts(&lines)[0].ends_with(",true,\"a \"\"b\"\",\n\u{1}é\""), "{:?}", texts(&lines)[0]);
    assert_eq!(csv_header(&["a", "b,c", ""]), b"a,\"b,c\",\"\"\n");
    let lone = batch(vec![("x", Arc::new(Int64Array::from(vec![None, Some(1)])))]);
    assert_eq!(texts(&to_csv(&lone).expect("lines")), ["\"\"", "1"]);
}

fn nested() -> RecordBatch {
    let list = ListArray::from_iter_primitive::<Float64Type, _, _>([
        Some(vec![Some(1.0), None, Some(f64::NAN)]),
        None,
    ]);
    let point = StructArray::from(vec![
        (
            Arc::new(Field::new("x", DataType::Int64, true)),
            Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("y", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![None, Some("z")])) as ArrayRef,
        ),
    ]);
    let pair = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        [Some([Some(1), Some(2)]), Some([None, Some(4)])],
        2,
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("k");
    map.values().append_null();
    map.append(true).expect("append");
    map.append(false).expect("append");
    let words: DictionaryArray<Int8Type> = [Some("w"), None].into_iter().collect();
    batch(vec![
        ("list", Arc::new(list)),
        ("point", Arc::new(point)),
        ("pair", Arc::new(pair)),
        ("map", Arc::new(map.finish())),
        ("word", Arc::new(words)),
        ("view", Arc::new(StringViewArray::from(vec!["v", "a view longer than twelve"]))),
        ("bytes", Arc::new(BinaryArray::from(vec![&[0_u8, 1, 255][..], b""]))),
        ("day", Arc::new(Date32Array::from(vec![19_724, 0]))),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![Some(1_500), None]))),
        (
            "utc",
            Arc::new(TimestampMillisecondArray::from(vec![0, 1]).with_timezone("Europe/Berlin")),
        ),
        (
            "price",
            Arc::new(
                Decimal128Array::from(vec![-150, 7])
                    .with_precision_and_scale(9, 2)
                    .expect("a decimal"),
            ),
        ),
    ])
}

#[test]
fn other_columns_become_json_lines() {
    let lines = to_json_lines(&nested()).expect("lines");
    let expected = [
        "{\"list\":[1.0,null,null],\"point\":{\"x\":1,\"y\":null},\"pair\":[1,2],\"map\":{\"k\":null},\
         \"word\":\"w\",\"view\":\"v\",\"bytes\":\"AAH/\",\"day\":\"2024-01-02\",\"at\":\"1970-01-01T00:00:01.500\",\
         \"utc\":\"1970-01-01T00:00:00Z\",\"price\":-1.50}",
        "{\"list\":null,\"point\":{\"x\":2,\"y\":\"z\"},\"pair\":[null,4],\"map\":null,\
         \"word\":null,\"view\":\"a view longer than twelve\",\"bytes\":\"\",\"day\":\"1970-01-01\",\"at\":null,\
         \"utc\":\"1970-01-01T00:00:00.001Z\",\"price\":0.07}",
    ];
    assert_eq!(texts(&lines), expected);
}

#[test]
fn slices_are_written_by_their_own_rows() {
    let sliced = nested().slice(1, 1);
    let whole = to_json_lines(&nested()).expect("lines");
    assert_eq!(texts(&to_json_lines(&sliced).expect("lines")), [texts(&whole)[1]]);
}

#[test]
fn nested_values_are_json_in_csv() {
    let lines = to_csv(&nested()).expect("lines");
    assert!(
        texts(&lines)[0]
            .starts_with("\"[1.0,null,null]\",\"{\"\"x\"\":1,\"\"y\"\":null}\",\"[1,2]\","),
        "{}",
        texts(&lines)[0]
    );
}

fn wanted(schema: &Schema) -> Vec<WantedField> {
    let field = |(position, field): (usize, &Arc<Field>)| WantedField {
        name: Some(field.name().clone()),
        position,
        data_type: field.data_type().clone(),
        nullable: true,
        optional: true,
    };
    schema.fields().iter().enumerate().map(field).collect()
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        floats in proptest::collection::vec(proptest::option::of(any::<f64>()), 3),
        singles in proptest::collection::vec(proptest::option::of(any::<f32>()), 3),
        ints in proptest::collection::vec(proptest::option::of(any::<i64>()), 3),
        texts in proptest::collection::vec(proptest::option::of(any::<String>()), 3),
        bytes in proptest::collection::vec(any::<Vec<u8>>(), 3),
    ) {
        let clean = |value: &Option<f64>| value.filter(|value| value.is_finite());
        let floats: Vec<_> = floats.iter().map(clean).collect();
        let singles: Vec<_> = singles.iter().map(|value| value.filter(|value| value.is_finite())).collect();
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let batch = batch(vec![
            ("floats", Arc::new(Float64Array::from(floats))),
            ("singles", Arc::new(Float32Array::from(singles))),
            ("ints", Arc::new(Int64Array::from(ints))),
            ("texts", Arc::new(StringArray::from(texts))),
            ("bytes", Arc::new(BinaryArray::from(bytes))),
        ]);
        let fields = wanted(batch.schema_ref());
        let json = to_json_lines(&batch).expect("lines");
        let (read, errors) = ColumnReader::new(&fields, SourceKind::JsonLines).read(&json, &|_| false);
        prop_assert_eq!(errors, []);
        prop_assert_eq!(read.columns(), batch.columns());
        let csv = to_csv(&batch).expect("lines");
        let (read, errors) = ColumnReader::new(&fields, SourceKind::Csv).read(&csv, &|_| false);
        prop_assert_eq!(errors, []);
        prop_assert_eq!(&read.columns()[..4], &batch.columns()[..4]);
    }
}

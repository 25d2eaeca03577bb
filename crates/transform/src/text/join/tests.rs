//! Tests of `join`.

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::text::csv;

fn outputs(rows: usize) -> RecordBatch {
    let given = |row: usize| row % 3 != 2;
    let scores: Float64Array =
        (0..rows).map(|row| given(row).then_some(row as f64 + 0.5)).collect();
    let labels: StringArray = (0..rows).map(|row| given(row).then_some("a,b")).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("score", Arc::new(scores) as _, true),
        ("label", Arc::new(labels) as _, true),
    ])
    .expect("a batch")
}

fn joined(records: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    join_json(&records.iter().collect(), &outputs(records.len()), &mut out).expect("joined");
    String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn outputs_are_added_to_the_records_own_text() {
    let found = joined(&["{\"a\" : 1.0}", "{ }", "  {\"a\":\"}\"  } ", "[1, 2]", "7"]);
    let expected = [
        "{\"a\" : 1.0,\"score\":0.5,\"label\":\"a,b\"}",
        "{ \"score\":1.5,\"label\":\"a,b\"}",
        "  {\"a\":\"}\"  ,\"score\":null,\"label\":null} ",
        "{\"input\":[1, 2],\"score\":3.5,\"label\":\"a,b\"}",
        "{\"input\":7,\"score\":4.5,\"label\":\"a,b\"}",
    ];
    assert_eq!(found, expected);
}

#[test]
fn malformed_records_become_text() {
    let found = joined(&["{\"a\":1", "", "{\"a\":{}}}"]);
    let expected = [
        "{\"input\":\"{\\\"a\\\":1\",\"score\":0.5,\"label\":\"a,b\"}",
        "{\"input\":\"\",\"score\":1.5,\"label\":\"a,b\"}",
        "{\"input\":\"{\\\"a\\\":{}}}\",\"score\":null,\"label\":null}",
    ];
    assert_eq!(found, expected);
}

#[test]
fn without_outputs_objects_stay_as_they_are() {
    let none = outputs(3).project(&[]).expect("no columns");
    let mut out = Vec::new();
    join_json(&["{\"a\":1}", "{}", "1"].into_iter().collect(), &none, &mut out).expect("joined");
    assert_eq!(out, b"{\"a\":1}\n{}\n{\"input\":1}\n");
}

#[test]
fn members_are_named() {
    assert_eq!(members(b"{\"a\":{\"b\":1},\"\\u0063\":[]}"), ["a", "c"]);
    assert!(members(b"[1]").is_empty());
    assert!(members(b"{\"a\":1").is_empty());
}

fn joined_csv(records: &[&str], columns: usize) -> String {
    let mut out = Vec::new();
    join_csv(&records.iter().collect(), columns, &outputs(records.len()), &mut out)
        .expect("joined");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn cells_are_added_and_rows_keep_their_width() {
    let found = joined_csv(&["1, \"x\"", "2,\"a\nb\"", "3", "4,5,6", "7,\"8", "\"9"], 2);
    let expected = "1, \"x\",0.5,\"a,b\"\n2,\"a\nb\",1.5,\"a,b\"\n3,,,\n\"4,5,6\",,3.5,\"a,b\"\n\
                    \"7,\"\"8\",,4.5,\"a,b\"\n\"\"\"9\",,,\n";
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn joined_objects_hold_what_they_held(
        members in proptest::collection::btree_map("[a-e\"\\\\é]{1,3}", any::<Option<f32>>(), 0..4),
        space in " {0,2}",
    ) {
        let finite = |value: &Option<f32>| value.filter(|value| value.is_finite());
        let members: Vec<_> = members.iter().map(|(name, value)| {
            format!("{}:{space}{}", serde_json::to_string(name).expect("JSON"), serde_json::to_string(&finite(value)).expect("JSON"))
        }).collect();
        let record = format!("{space}{{{}{space}}}", members.join(", "));
        let before: Value = serde_json::from_str(&record).expect("JSON");
        let after: Value = serde_json::from_str(&joined(&[&record])[0]).expect("JSON");
        for (name, value) in before.as_object().expect("an object") {
            prop_assert_eq!(&after[name], value);
        }
        prop_assert_eq!(&after["score"], 0.5);
        let kept = record.strip_suffix('}').expect("an object");
        prop_assert!(joined(&[&record])[0].starts_with(kept));
    }

    #[test]
    fn whatever_goes_in_json_lines_come_out(
        records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..5),
    ) {
        let mut out = Vec::new();
        join_json(&records.iter().collect(), &outputs(records.len()), &mut out).expect("joined");
        let text = String::from_utf8(out).expect("UTF-8");
        prop_assert_eq!(text.lines().count(), records.len());
        for line in text.lines() {
            prop_assert!(serde_json::from_str::<Value>(line).expect("JSON").get("score").is_some());
        }
    }

    #[test]
    fn whatever_goes_in_csv_rows_of_one_width_come_out(
        records in proptest::collection::vec("[a\",1]{0,8}", 0..5),
    ) {
        let refs: Vec<&str> = records.iter().map(String::as_str).collect();
        let text = joined_csv(&refs, 2);
        prop_assert_eq!(text.lines().count(), records.len());
        for line in text.lines() {
            prop_assert_eq!(csv::count_cells(line.as_bytes()), Some(4), "{}", line);
        }
    }
}

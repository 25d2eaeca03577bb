//! Tests of `answers`.

use std::{sync::Arc, thread};

use arrow::util::display::array_value_to_string;
use proptest::prelude::*;

use super::*;

fn rows(batch: &RecordBatch) -> Vec<String> {
    let cell = |column: usize, row: usize| {
        array_value_to_string(batch.column(column), row).expect("a value")
    };
    (0..batch.num_rows())
        .map(|row| {
            (0..batch.num_columns()).map(|column| cell(column, row)).collect::<Vec<_>>().join("|")
        })
        .collect()
}

fn columns(batch: &RecordBatch) -> Vec<String> {
    batch
        .schema_ref()
        .fields()
        .iter()
        .map(|field| format!("{}: {}", field.name(), type_name(field.data_type())))
        .collect()
}

fn decode(decoder: &AnswerDecoder, answers: &[&str]) -> (RecordBatch, Vec<(usize, RowError)>) {
    decoder.decode(&answers.iter().collect())
}

fn decode_as(schema: &str, answers: &[&str]) -> (Vec<String>, Vec<usize>) {
    let decoder = AnswerDecoder::new(Some(parse_output_schema(schema).expect("a schema")));
    let (batch, errors) = decode(&decoder, answers);
    (rows(&batch), errors.into_iter().map(|(row, _)| row).collect())
}

#[test]
fn lone_values_are_the_prediction() {
    let (batch, errors) = decode(&AnswerDecoder::new(None), &["1", "2.5", "null"]);
    assert!(errors.is_empty());
    assert_eq!(columns(&batch), ["prediction: float64"]);
    assert_eq!(rows(&batch), ["1.0", "2.5", ""]);
    let (batch, _) = decode(&AnswerDecoder::new(None), &["\"cat\"", "\"dog\""]);
    assert_eq!(columns(&batch), ["prediction: utf8"]);
    let (batch, _) = decode(&AnswerDecoder::new(None), &["[1, 2]", "[3]"]);
    assert_eq!(columns(&batch), ["prediction: list<float64>"]);
    assert_eq!(rows(&batch), ["[1.0, 2.0]", "[3.0]"]);
}

#[test]
fn members_are_columns_and_the_first_answer_sets_them() {
    let decoder = AnswerDecoder::new(None);
    let (batch, errors) = decode(&decoder, &["{\"p\":1,\"l\":\"a\"}", "{\"l\":\"b\",\"box\":[1]}"]);
    assert!(errors.is_empty());
    assert_eq!(columns(&batch), ["p: float64", "l: utf8", "box: list<float64>"]);
    assert_eq!(rows(&batch), ["1.0|a|", "|b|[1.0]"]);
    let (batch, errors) =
        decode(&decoder, &["{\"p\":\"x\"}", "{\"new\":1}", "3", "{\"p\":2}", "null", "{"]);
    assert_eq!(rows(&batch), ["||", "||", "||", "2.0||", "||", "||"]);
    assert_eq!(errors.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 1, 2, 5]);
    for (_, error) in &errors {
        assert_eq!(error.class, RejectClass::Output);
        assert!(error.message.contains("--output-schema"), "{}", error.message);
    }
    assert!(
        errors[0].1.message.contains("output `p`: `\"x\"` is no float64"),
        "{}",
        errors[0].1.message
    );
    assert!(errors[1].1.message.contains("`new`"), "{}", errors[1].1.message);
}

#[test]
fn answers_that_show_nothing_leave_the_schema_open() {
    let decoder = AnswerDecoder::new(None);
    let (batch, errors) = decode(&decoder, &["null", "oops", "{}"]);
    assert_eq!((batch.num_rows(), batch.num_columns()), (3, 0));
    assert_eq!(errors.len(), 1);
    assert!(decoder.schema().is_none());
    let (batch, errors) = decode(&decoder, &["oops", "4"]);
    assert_eq!(columns(&batch), ["prediction: float64"]);
    assert_eq!((rows(&batch), errors.len()), (vec![String::new(), "4.0".to_owned()], 1));
}

#[test]
fn a_given_schema_rules() {
    let (found, errors) = decode_as("n: int64", &["1", "2.0", "2.5", "{\"n\":3}", "[4]"]);
    assert_eq!(
        (found, errors),
        (
            vec!["1".to_owned(), "2".to_owned(), String::new(), "3".to_owned(), String::new()],
            vec![2, 4]
        )
    );
    let (found, errors) =
        decode_as("low: float32, high: float32", &["[1, 2]", "[1]", "{\"high\":3}", "5"]);
    assert_eq!(
        (found, errors),
        (vec!["1.0|2.0".to_owned(), "|".to_owned(), "|3.0".to_owned(), "|".to_owned()], vec![1, 3])
    );
    let (found, errors) =
        decode_as("box: fixed_size_list<float32, 2>", &["[1, 2]", "[1]", "{\"box\":[3,4]}"]);
    assert_eq!(
        (found, errors),
        (vec!["[1.0, 2.0]".to_owned(), String::new(), "[3.0, 4.0]".to_owned()], vec![1])
    );
    let (found, errors) = decode_as("at: struct<x: int32>", &["{\"x\":1}", "{\"at\":{\"x\":2}}"]);
    assert_eq!((found, errors), (vec!["{x: 1}".to_owned(), "{x: 2}".to_owned()], vec![]));
}

#[test]
fn threads_agree_on_one_schema() {
    let decoder = Arc::new(AnswerDecoder::new(None));
    let threads: Vec<_> = ["1", "\"a\"", "{\"x\":1}", "[1]"]
        .map(|answer| {
            let decoder = Arc::clone(&decoder);
            thread::spawn(move || decode(&decoder, &[answer]).0.schema())
        })
        .into_iter()
        .collect();
    let schemas: Vec<_> =
        threads.into_iter().map(|thread| thread.join().expect("a schema")).collect();
    assert!(schemas.windows(2).all(|pair| pair[0] == pair[1]));
}

proptest! {
    #[test]
    fn no_answers_make_it_panic(
        answers in proptest::collection::vec("(\\{\"x\":|\\[|\\]|\\}|,|\"|1|null|é){0,8}", 0..5),
    ) {
        let decoder = AnswerDecoder::new(None);
        for _ in 0..2 {
            let (batch, errors) = decoder.decode(&answers.iter().collect());
            prop_assert_eq!(batch.num_rows(), answers.len());
            prop_assert!(errors.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}

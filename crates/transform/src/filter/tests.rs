//! Tests of `filter`.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn filtered(filter: &str, record: &Value) -> Result<Value, String> {
    let filter: Filter = filter.parse().map_err(|error: FilterParseError| error.to_string())?;
    filter.apply(record).map_err(|error| error.to_string())
}

/// A CSV row through a filter.
fn filtered_row(filter: &str, row: &str) -> String {
    let value = filtered(filter, &parse_csv_record(row.as_bytes())).expect(filter);
    let mut out = Vec::new();
    write_csv_record(&value, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

// The examples of "Associate Prediction Results with Input Records" in the SageMaker guide, and of
// the reference of `DataProcessing`.
#[test]
fn the_guides_json_examples_hold() {
    let record = json!({"id": 7, "features": [1, 2], "other": "x"});
    assert_eq!(filtered("$", &record), Ok(record.clone()));
    assert_eq!(filtered("$.features", &record), Ok(json!([1, 2])));
    let joined = join_document(record.clone(), json!({"label": 1}));
    assert_eq!(joined["SageMakerOutput"], json!({"label": 1}));
    let kept = json!({"id": 7, "SageMakerOutput": {"label": 1}});
    assert_eq!(filtered("$['id','SageMakerOutput']", &joined), Ok(kept.clone()));
    assert_eq!(filtered("$.['id','SageMakerOutput']", &joined), Ok(kept));
    assert_eq!(
        join_document(json!({"key": 1}), json!({"label": 1})),
        json!({"key": 1, "SageMakerOutput": {"label": 1}})
    );
    assert_eq!(
        join_document(json!([1, 2, 3]), json!(1)),
        json!({"SageMakerInput": [1, 2, 3], "SageMakerOutput": 1})
    );
    // The member is reserved: the guide says that an input's own is overwritten.
    assert_eq!(
        join_document(json!({"SageMakerOutput": 0}), json!(1)),
        json!({"SageMakerOutput": 1})
    );
    let nested = json!({"field1": {"child1": 1, "child2": 2, "child3": 3}});
    assert_eq!(
        filtered("$.field1.['child1','child2']", &nested),
        Ok(json!({"child1": 1, "child2": 2}))
    );
    assert_eq!(filtered("$.id.*", &json!({"id": {"a": 1, "b": [2]}})), Ok(json!([1, [2]])));
}

#[test]
fn the_guides_csv_examples_hold() {
    assert_eq!(filtered_row("$[1:]", "id,1,2,3,4"), "1,2,3,4");
    assert_eq!(filtered_row("$[1]", "a,b,c"), "b");
    assert_eq!(filtered_row("$[1,3,5]", "a,b,c,d,e,f"), "b,d,f");
    assert_eq!(filtered_row("$[2:5]", "a,b,c,d,e,f"), "c,d,e");
    assert_eq!(filtered_row("$[:5]", "a,b,c,d,e,f"), "a,b,c,d,e");
    assert_eq!(filtered_row("$[2:]", "a,b,c,d,e,f"), "c,d,e,f");
    assert_eq!(filtered_row("$[0:-1]", "a,b,label"), "a,b");
    let joined = join_csv_document(parse_csv_record(b"1,2,3"), parse_csv_record(b"1"));
    let mut out = Vec::new();
    write_csv_record(&joined, &mut out);
    assert_eq!(out, b"1,2,3,1");
    // The blog's: the identifier and the prediction.
    assert_eq!(filtered("$[0,-1]", &joined), Ok(json!(["1", "1"])));
}

#[test]
fn paths_select_as_json_path_does() {
    let record = json!({"a": [{"b": 1, "c": 2}, {"b": 3}], "x.y": 4, "it's": 5});
    for (filter, expected) in [
        ("$.a[0].b", json!(1)),
        ("$.a[-1].b", json!(3)),
        ("$.a[*].b", json!([1, 3])),
        ("$.a.*.c", json!([2])),
        ("$.a[0:1].b", json!([1])),
        ("$.a[0,1]['b','c']", json!([{"b": 1, "c": 2}, {"b": 3}])),
        ("$['x.y']", json!(4)),
        ("$[\"x.y\"]", json!(4)),
        ("$['it\\'s']", json!(5)),
        ("$['x.y', 'gone']", json!({"x.y": 4})),
        ("$['a', 'x.y'][0].b", json!([1])),
        ("$.a[5:9]", json!([])),
        ("$.a[-9:1]", json!([{"b": 1, "c": 2}])),
        ("$.a[1:0]", json!([])),
        ("$['x.y'].*", Value::Null),
        ("$.gone", Value::Null),
        ("$.a[2]", Value::Null),
        ("$.a[0,2]", Value::Null),
        ("$.a.b", Value::Null),
        ("$[0]", Value::Null),
        ("$['gone','too']", Value::Null),
    ] {
        assert_eq!(filtered(filter, &record).unwrap_or_default(), expected, "{filter}");
    }
    let error = filtered("$.gone", &record).expect_err("gone");
    assert_eq!(error, "apply the filter `$.gone`: the record has no `gone`");
}

#[test]
fn parse_errors_point_at_the_place() {
    for (filter, at) in [
        ("", 1),
        ("a", 1),
        ("$a", 2),
        ("$.", 3),
        ("$..a", 2),
        ("$[", 3),
        ("$['a]", 3),
        ("$[1", 4),
        ("$[1:2:3]", 6),
        ("$[0:2,246:]", 6),
        ("$[0,5:]", 6),
        ("$[?(@.a)]", 3),
        ("$['a',1]", 7),
        ("$.a b", 4),
        ("$[99999999999]", 3),
        ("$.é[x]", 5),
        ("$[-]", 3),
        ("$[1,]", 5),
    ] {
        let error = filter.parse::<Filter>().expect_err(filter);
        assert_eq!(error.position() + 1, at, "{error}");
        assert!(error.to_string().ends_with(&format!("at character {at}")), "{error}");
    }
}

#[test]
fn names_do_not_fit_csv() {
    let check = |filter: &str| filter.parse::<Filter>().expect("a filter").check_csv();
    assert_eq!(check("$[1:]"), Ok(()));
    assert_eq!(check("$"), Ok(()));
    assert_eq!(check("$[*]"), Ok(()));
    assert_eq!(check("$[0].a").expect_err("a name").position(), 4);
    assert!(check("$['a','b']").is_err());
}

#[test]
fn csv_rows_go_through_as_they_are() {
    for row in ["a,\"b,c\",,\"\"", "1.50,x", "\"q\"\"q\"", "\"\""] {
        assert_eq!(filtered_row("$", row), row);
    }
}

proptest! {
    #[test]
    fn no_filter_makes_it_panic(filter in "\\$?[$.*\\['\",:\\]\\-0-9a é?\\\\]{0,16}") {
        let record = json!({"a": [[1, 2], {"a": "x"}], "é": null});
        if let Ok(filter) = filter.parse::<Filter>() {
            let _ = filter.apply(&record);
            let _ = filter.apply(&json!([["a"], "b"]));
            let _ = filter.check_csv();
        }
    }
}

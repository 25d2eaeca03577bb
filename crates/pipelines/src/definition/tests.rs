//! Definitions: what is read, and all that is told of what is wrong.

use serde_json::{Value, json};

use super::*;

fn definition(steps: &Value) -> String {
    json!({
        "Version": "2020-12-01",
        "Parameters": [
            {"Name": "N", "Type": "Integer", "DefaultValue": 1},
            {"Name": "Inst", "Type": "String", "DefaultValue": "a", "EnumValues": ["a", "b"]},
        ],
        "Steps": steps,
    })
    .to_string()
}

fn processing(name: &str, depends: &[&str]) -> Value {
    json!({
        "Name": name, "Type": "Processing", "DependsOn": depends,
        "Arguments": {"ProcessingOutputConfig": {"Outputs": [{"OutputName": "train"}]}},
    })
}

fn problems(steps: &Value) -> Vec<String> {
    Definition::parse(&definition(steps)).expect_err("it is wrong").0
}

#[test]
fn nested_steps_are_made_flat_and_know_what_they_wait_for() {
    let steps = json!([
        processing("A", &[]),
        {"Name": "C", "Type": "Condition", "Arguments": {
            "Conditions": [{"Type": "Equals", "LeftValue": {"Get": "Steps.A.ExitMessage"}, "RightValue": "x"}],
            "IfSteps": [processing("B", &[])],
            "ElseSteps": [{"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": {
                "Std:Join": {"On": "", "Values": [{"Get": "Parameters.N"}]}}}}],
        }},
        processing("D", &["B", "C"]),
    ]);
    let definition = Definition::parse(&definition(&steps)).expect("a definition");
    let waits = |name: &str| {
        let step = definition.step(name).expect("a step");
        step.waits_for.iter().map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(waits("C"), ["A"]);
    assert_eq!(waits("B"), ["C"]);
    assert_eq!(waits("D"), ["B", "C"]);
    let branch = definition.step("F").and_then(|step| step.branch.clone());
    assert_eq!(branch, Some(Branch { condition: "C".to_owned(), if_true: false }));
}

#[test]
fn a_file_that_a_step_leaves_is_waited_for() {
    let fails_with = |step: &str| {
        let place = json!({"Get": format!("Steps.{step}.ProcessingJobArn")});
        let uri = json!({"Std:Join": {"On": "/", "Values": [place, "results.json"]}});
        let message = json!({"Std:JsonGet": {"S3Uri": uri, "Path": "Result['text'][0]"}});
        let fail = json!({"Name": "F", "Type": "Fail", "Arguments": {"ErrorMessage": message}});
        json!([processing("A", &[]), fail])
    };
    let known = Definition::parse(&definition(&fails_with("A"))).expect("a definition");
    let waits = &known.step("F").expect("a step").waits_for;
    assert_eq!(waits.iter().collect::<Vec<_>>(), ["A"]);
    assert!(problems(&fails_with("B"))[0].contains("it refers to step `B`, which is not there"));
}

#[test]
fn all_problems_are_told_at_once_with_their_steps() {
    let steps = json!([
        processing("A", &["Nope"]),
        processing("A", &[]),
        {"Name": "E", "Type": "EMR", "Arguments": {}},
        {"Name": "X", "Type": "Wash", "Arguments": {}},
        {"Name": "P", "Type": "Processing", "Arguments": {
            "A": {"Get": "Parameters.M"}, "B": {"Get": "Steps.B.X"}, "C": {"Get": "What.X"},
            "D": {"Get": "Steps.A.ProcessingOutputConfig.Outputs['trian'].S3Output.S3Uri"},
            "E": {"Get": "Steps.A.ModelArtifacts.S3ModelArtifacts"},
            "F": {"Std:Join": {"On": "/"}},
            "G": {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.A.PropertyFiles.R"}, "Path": "a"}},
        }},
    ]);
    let problems = problems(&steps).join("\n");
    for expected in [
        "step `A` is there more than once",
        "step `A`: it depends on `Nope`, which is no step",
        "step `E`: steps of type EMR are not supported by Bessemer",
        "step `X`: there are no steps of type `Wash`",
        "step `P`: it refers to parameter `M`, which is not there; did you mean `N`?",
        "step `P`: it refers to step `B`, which is not there",
        "step `P`: `What.X` is no reference",
        "step `P`: step `A` has no output `trian`; did you mean `train`?",
        "step `A` is of type Processing and has no `ModelArtifacts`",
        "step `P`: `Std:Join` needs `On` and a list of `Values`",
        "step `P`: step `A` has no property file `R`",
    ] {
        assert!(problems.contains(expected), "{expected} is not in\n{problems}");
    }
}

#[test]
fn a_circle_is_shown() {
    let steps = json!([
        processing("A", &["C"]),
        processing("B", &["A"]),
        processing("C", &["B"]),
        processing("D", &["A"]),
    ]);
    let problems = problems(&steps);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("steps wait for each other: `"), "{problems:?}");
    assert_eq!(problems[0].matches(" waits for ").count(), 3, "{problems:?}");
    assert!(!problems[0].contains("`D`"));
}

#[test]
fn parameters_have_types_and_choices() {
    let text = json!({"Version": "2020-12-01", "Steps": [processing("A", &[])], "Parameters": [
        {"Name": "I", "Type": "Integer", "DefaultValue": "1"},
        {"Name": "S", "Type": "String", "DefaultValue": "c", "EnumValues": ["a"]},
        {"Name": "T", "Type": "Date"},
    ]});
    let problems = Definition::parse(&text.to_string()).expect_err("it is wrong").0;
    assert_eq!(
        problems,
        [
            "parameter `I`: `\"1\"` is not of type Integer",
            "parameter `S`: its default \"c\" is not in `EnumValues`",
            "parameter `T`: type `Date` must be one of String, Integer, Float, Boolean",
        ]
    );
    let text = definition(&json!([processing("A", &[])]));
    let known = Definition::parse(&text).expect("a definition");
    let value = |name: &str, text: &str| known.parameter(name).expect("it is there").value_of(text);
    assert_eq!(value("N", "7"), Ok(json!(7)));
    assert!(value("N", "7.5").is_err_and(|why| why.contains("must be of type Integer")));
    assert_eq!(value("Inst", "b"), Ok(json!("b")));
    assert!(value("Inst", "c").is_err_and(|why| why.contains("must be one of a, b")));
}

#[test]
fn conditions_compare_what_can_be_compared() {
    let holds = |condition: Value| {
        let condition = Condition::parse(&condition).expect("a condition");
        condition.holds::<String>(&mut |value| Ok(value.clone()))
    };
    let compare = |kind: &str, left: Value, right: Value| {
        holds(json!({"Type": kind, "LeftValue": left, "RightValue": right}))
    };
    assert_eq!(compare("Equals", json!(1), json!(1.0)), Ok(true));
    assert_eq!(compare("Equals", json!(true), json!(true)), Ok(true));
    assert_eq!(compare("GreaterThan", json!(2), json!(1.5)), Ok(true));
    assert_eq!(compare("GreaterThanOrEqualTo", json!("b"), json!("b")), Ok(true));
    assert_eq!(compare("LessThan", json!(2), json!(2)), Ok(false));
    assert_eq!(compare("LessThanOrEqualTo", json!(2), json!(2)), Ok(true));
    assert!(
        compare("Equals", json!("1"), json!(1)).is_err_and(|why| why.contains("can't compare"))
    );
    assert_eq!(holds(json!({"Type": "In", "QueryValue": "a", "Values": ["b", 1, "a"]})), Ok(true));
    let or = json!({"Type": "Or", "Conditions": [
        {"Type": "Equals", "LeftValue": 1, "RightValue": 2},
        {"Type": "Not", "Condition": {"Type": "In", "QueryValue": 1, "Values": [2]}},
    ]});
    assert_eq!(holds(or), Ok(true));
    assert!(Condition::parse(&json!({"Type": "Like"})).is_err());
}

#[test]
fn what_the_sdks_write_is_read() {
    let full = Definition::parse(include_str!("../../tests/definitions/full.json"));
    let full = full.expect("a definition");
    let kinds: Vec<&str> = full.steps.iter().map(|step| step.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "Processing",
            "Training",
            "Processing",
            "Condition",
            "Model",
            "RegisterModel",
            "Transform",
            "Processing",
            "Model",
            "RegisterModel",
            "Fail",
            "Lambda",
            "Callback",
        ]
    );
    let waits = |name: &str| {
        let step = full.step(name).expect("a step");
        step.waits_for.iter().map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(waits("Train"), ["PreProc"]);
    assert_eq!(waits("Check"), ["TrainEvaluation"]);
    assert_eq!(waits("Predict"), ["Check", "MakeModel-CreateModel"]);
    assert_eq!(waits("PostProc"), ["Check", "Predict"]);
    assert_eq!(waits("WaitBatch"), ["SubmitBatch"]);
    let first = full.step("PreProc").expect("a step");
    assert_eq!(first.retries[1].expire_millis, Some(3_600_000));
    assert_eq!(first.retries[0].max_attempts, Some(3));
    assert_eq!(first.cache, Some(30 * 86_400_000));
    let function = Definition::parse(include_str!("../../tests/definitions/function_step.json"));
    assert_eq!(
        function.expect("a definition").steps[0].display_name.as_deref(),
        Some("__main__.fn")
    );
    let third = Definition::parse(include_str!("../../tests/definitions/sdk_v3.json"));
    assert_eq!(third.expect("a definition").steps.len(), 2);
}

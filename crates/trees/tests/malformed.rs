//! Models that can't be right are refused with a message that says what is wrong and where.

use std::error::Error as _;

use bessemer_trees::Ensemble;

/// A stump on feature 1 of 2, as XGBoost writes it.
const STUMP: &str = r#"{"learner": {"attributes": {}, "feature_names": [], "gradient_booster": {
  "model": {"gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "1"}, "tree_info": [0],
    "trees": [{"categories": [], "categories_nodes": [], "categories_segments": [],
      "categories_sizes": [], "default_left": [1, 0, 0], "left_children": [1, -1, -1],
      "right_children": [2, -1, -1], "split_conditions": [0.5, -1.25, 2.0],
      "split_indices": [1, 0, 0], "split_type": [0, 0, 0],
      "tree_param": {"num_nodes": "3", "size_leaf_vector": "1"}}]}, "name": "gbtree"},
  "learner_model_param": {"base_score": "[5E-1]", "num_class": "0", "num_feature": "2"},
  "objective": {"name": "reg:squarederror"}}, "version": [3, 2, 0]}"#;

/// The same as LightGBM writes it, with a third leaf by categories.
const TWIG: &str = "tree
version=v4
num_tree_per_iteration=1
max_feature_idx=1
objective=regression
feature_names=a b
tree_sizes=300

Tree=0
num_leaves=3
num_cat=1
split_feature=1 0
threshold=0.5 0
decision_type=2 1
left_child=1 -1
right_child=-2 -3
leaf_value=-1.25 2 3
cat_boundaries=0 1
cat_threshold=5
is_linear=0

end of trees
";

fn said(text: &str) -> String {
    let error = Ensemble::read(text.as_bytes()).expect_err("the model is broken");
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn changed(model: &str, from: &str, to: &str) -> String {
    assert!(model.contains(from), "{from}");
    said(&model.replacen(from, to, 1))
}

#[test]
fn the_models_are_fine_before_they_are_broken() {
    Ensemble::read(STUMP.as_bytes()).expect("a model");
    Ensemble::read(TWIG.as_bytes()).expect("a model");
}

/// What is changed in [`STUMP`], and how the message begins.
const BROKEN_STUMPS: &[(&str, &str, &str)] = &[
    (
        "[1, -1, -1]",
        "[0, -1, -1]",
        "`learner.gradient_booster.model.trees[0] node 0` is invalid: node 0 is reached twice",
    ),
    (
        "[1, -1, -1]",
        "[2, -1, -1]",
        "`learner.gradient_booster.model.trees[0] node 0` is invalid: node 2 is reached twice",
    ),
    (
        "[1, -1, -1]",
        "[7, -1, -1]",
        "`learner.gradient_booster.model.trees[0] node 0` is invalid: child 7 of 3 nodes",
    ),
    (
        "[1, -1, -1]",
        "[-2, -1, -1]",
        "`learner.gradient_booster.model.trees[0] node 0` is invalid: a child out of range",
    ),
    (
        "[1, -1, -1]",
        "[1, -1]",
        "`learner.gradient_booster.model.trees[0].tree_param.num_nodes` is invalid: there are 2 nodes",
    ),
    (
        "\"num_nodes\": \"3\"",
        "\"num_nodes\": \"2147483648\"",
        "`learner.gradient_booster.model.trees[0].tree_param.num_nodes` is invalid: there are 3 nodes",
    ),
    (
        "[0.5, ",
        "[NaN, ",
        "`learner.gradient_booster.model.trees[0] node 0` is invalid: the threshold is not a number",
    ),
    (
        "-1.25",
        "Infinity",
        "`learner.gradient_booster.model.trees[0] node 1` is invalid: a leaf of inf",
    ),
    (
        "\"split_indices\": [1",
        "\"split_indices\": [2",
        "`learner.gradient_booster.model.trees[0] node 0` is invalid: feature 2 of 2",
    ),
    (
        "\"split_type\": [0",
        "\"split_type\": [1",
        "`learner.gradient_booster.model.trees[0].split_type` is invalid: node 0 and its categories disagree",
    ),
    (
        "\"tree_info\": [0]",
        "\"tree_info\": [4]",
        "`learner.gradient_booster.model.tree_info` is invalid: tree 0 adds to output 4 of 1",
    ),
    (
        "\"num_trees\": \"1\"",
        "\"num_trees\": \"9\"",
        "`learner.gradient_booster.model.gbtree_model_param.num_trees` is invalid: there are 1 trees",
    ),
    (
        "\"num_feature\": \"2\"",
        "\"num_feature\": \"4000000000\"",
        "`learner.learner_model_param` is invalid: a count of 4000000000, where 1048576 is the most",
    ),
    (
        "[5E-1]",
        "[half]",
        "`learner.learner_model_param.base_score` is invalid: expected a number or a vector, found `[half]`",
    ),
    (
        "reg:squarederror",
        "reg:own",
        "`learner.objective.name` is invalid: unknown objective `reg:own`",
    ),
    ("\"gbtree\"", "\"gblinear\"", "linear boosters (`gblinear`) are not supported"),
    (
        "size_leaf_vector\": \"1",
        "size_leaf_vector\": \"3",
        "trees with vector leaves (`multi_strategy=multi_output_tree`) are not supported",
    ),
    ("\"base_score\"", "\"base\"", "the model lacks `learner.learner_model_param.base_score`"),
    (
        "\"feature_names\": []",
        "\"feature_names\": [\"a\"]",
        "`learner.feature_names` is invalid: 1 names for 2 features",
    ),
    (
        "[3, 2, 0]}",
        "[3, 2, 0]",
        "the model is not well formed: the document ends too early at byte",
    ),
];

#[test]
fn broken_xgboost_models() {
    for (from, to, expected) in BROKEN_STUMPS {
        let message = changed(STUMP, from, to);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn broken_lightgbm_models() {
    let cases = [
        ("left_child=1", "left_child=0", "`Tree=0 node 0` is invalid: node 0 is reached twice"),
        ("left_child=1", "left_child=9", "`Tree=0 node 0` is invalid: a child out of range"),
        ("left_child=1 -1", "left_child=1 -9", "`Tree=0 node 1` is invalid: child 10 of 5 nodes"),
        (
            "num_leaves=3",
            "num_leaves=2147483648",
            "`Tree=0 leaf_value` is invalid: 3 entries, not 2147483648",
        ),
        (
            "num_leaves=3",
            "num_leaves=0",
            "`Tree=0 num_leaves` is invalid: a tree has a leaf at least",
        ),
        (
            "threshold=0.5",
            "threshold=nan",
            "`Tree=0 node 0` is invalid: the threshold is not a number",
        ),
        ("threshold=0.5 0", "threshold=0.5 1", "`Tree=0 node 1` is invalid: categories 1 of 1"),
        (
            "cat_boundaries=0 1",
            "cat_boundaries=0 8",
            "`Tree=0 cat_boundaries` is invalid: 0 to 8 of 1 words",
        ),
        (
            "cat_boundaries=0 1",
            "cat_boundaries=",
            "`Tree=0 cat_boundaries` is invalid: 0 entries for 1 sets",
        ),
        ("decision_type=2", "decision_type=12", "`Tree=0 node 0` is invalid: decision type 12"),
        ("split_feature=1", "split_feature=2", "`Tree=0 node 0` is invalid: feature 2 of 2"),
        ("leaf_value=-1.25", "leaf_value=inf", "`Tree=0 leaf_value` is invalid: a leaf of inf"),
        (
            "is_linear=0",
            "is_linear=1",
            "trees with linear leaves (`linear_tree`) are not supported",
        ),
        (
            "objective=regression",
            "objective=own",
            "`objective` is invalid: unknown objective `own`",
        ),
        (
            "iteration=1",
            "iteration=2",
            "`num_tree_per_iteration` is invalid: 2 a round, but there are 1 trees",
        ),
        (
            "tree_sizes=300",
            "tree_sizes=300 300",
            "`tree_sizes` is invalid: 2 trees, but there are 1",
        ),
        ("end of trees", "", "the model lacks `end of trees`"),
        (
            "max_feature_idx=1",
            "max_feature_idx=x",
            "`max_feature_idx` is invalid: `x` is not a number it can be",
        ),
    ];
    for (from, to, expected) in cases {
        let message = changed(TWIG, from, to);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn files_of_other_kinds() {
    for text in ["", "hello", "\u{8}\u{1}ONNX", "[1]"] {
        assert!(said(text).starts_with("the file is no tree model"), "{text}");
    }
    assert_eq!(said("{\"a\": 1}"), "the model lacks `learner`");
}

//! Hand-made models: what is read, and what is refused and why.

use proptest::prelude::*;

use super::*;
use crate::protobuf::{put_bytes, put_integer};

/// An attribute by its name and the field that holds its value.
fn attribute(name: &str, field: u64, values: &[Vec<u8>]) -> Vec<u8> {
    let mut message = Vec::new();
    put_bytes(&mut message, 1, name.as_bytes());
    for value in values {
        put_bytes(&mut message, field, value);
    }
    message
}

fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let mut message = attribute(name, 8, &[]);
    for value in values {
        put_integer(&mut message, 8, *value as u64);
    }
    message
}

fn floats(name: &str, values: &[f32]) -> Vec<u8> {
    let packed = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    attribute(name, 7, &[packed])
}

fn texts(name: &str, values: &[&str]) -> Vec<u8> {
    let values: Vec<_> = values.iter().map(|value| value.as_bytes().to_vec()).collect();
    attribute(name, 9, &values)
}

/// The attributes of a regressor: `x0 <= 0.5 ? 1.5 : x1 == 2 ? -1 : 4`.
#[derive(Clone)]
struct Stump {
    modes: Vec<&'static str>,
    values: Vec<f32>,
    features: Vec<i64>,
    true_ids: Vec<i64>,
    false_ids: Vec<i64>,
    leaves: Vec<i64>,
    weights: Vec<f32>,
}

impl Stump {
    fn new() -> Self {
        Self {
            modes: vec!["BRANCH_LEQ", "LEAF", "BRANCH_EQ", "LEAF", "LEAF"],
            values: vec![0.5, 0.0, 2.0, 0.0, 0.0],
            features: vec![0, 0, 1, 0, 0],
            true_ids: vec![1, 0, 3, 0, 0],
            false_ids: vec![2, 0, 4, 0, 0],
            leaves: vec![1, 3, 4],
            weights: vec![1.5, -1.0, 4.0],
        }
    }

    fn node(&self) -> Vec<u8> {
        let mut targets = Vec::new();
        put_bytes(&mut targets, 1, b"n_targets");
        put_integer(&mut targets, 3, 1);
        let nodes = self.modes.len();
        let attributes = [
            targets,
            ints("nodes_treeids", &vec![0; nodes]),
            ints("nodes_nodeids", &(0..nodes as i64).collect::<Vec<_>>()),
            texts("nodes_modes", &self.modes),
            floats("nodes_values", &self.values),
            ints("nodes_featureids", &self.features),
            ints("nodes_truenodeids", &self.true_ids),
            ints("nodes_falsenodeids", &self.false_ids),
            ints("target_treeids", &vec![0; self.leaves.len()]),
            ints("target_nodeids", &self.leaves),
            ints("target_ids", &vec![0; self.leaves.len()]),
            floats("target_weights", &self.weights),
        ];
        operator("TreeEnsembleRegressor", "X", "Y", &attributes)
    }

    fn model(&self) -> Vec<u8> {
        model(&[self.node()])
    }

    fn error(&self) -> String {
        OnnxTrees::read(&self.model()).expect_err("it is broken").to_string()
    }
}

fn operator(name: &str, input: &str, output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut node = Vec::new();
    put_bytes(&mut node, 1, input.as_bytes());
    put_bytes(&mut node, 2, output.as_bytes());
    put_bytes(&mut node, 4, name.as_bytes());
    for attribute in attributes {
        put_bytes(&mut node, 5, attribute);
    }
    let is_standard = matches!(name, "Identity" | "Exp" | "Neg" | "Concat");
    put_bytes(&mut node, 7, if is_standard { b"" } else { b"ai.onnx.ml" });
    node
}

/// A tensor of floats, `X` or `Y`, of so many columns.
fn variable(name: &str, columns: u64) -> Vec<u8> {
    let mut shape = Vec::new();
    put_bytes(&mut shape, 1, &[]);
    let mut columns_message = Vec::new();
    put_integer(&mut columns_message, 1, columns);
    put_bytes(&mut shape, 1, &columns_message);
    let mut tensor = Vec::new();
    put_integer(&mut tensor, 1, 1);
    put_bytes(&mut tensor, 2, &shape);
    let mut r#type = Vec::new();
    put_bytes(&mut r#type, 1, &tensor);
    let mut variable = Vec::new();
    put_bytes(&mut variable, 1, name.as_bytes());
    put_bytes(&mut variable, 2, &r#type);
    variable
}

fn model(nodes: &[Vec<u8>]) -> Vec<u8> {
    let mut graph = Vec::new();
    for node in nodes {
        put_bytes(&mut graph, 1, node);
    }
    put_bytes(&mut graph, 11, &variable("X", 2));
    put_bytes(&mut graph, 12, &variable("Y", 1));
    let mut model = Vec::new();
    put_integer(&mut model, 1, 8);
    put_bytes(&mut model, 7, &graph);
    model
}

fn scores(bytes: &[u8], first: &[f32], second: &[f32]) -> Vec<f32> {
    let trees = OnnxTrees::read(bytes).expect("a model");
    let output = OnnxOutput { name: "Y".to_owned(), value: OnnxValue::Scores(1) };
    assert_eq!(trees.outputs(), [output]);
    let predictor = trees.predictor(&[2]).expect("two features");
    let columns = [OnnxColumn::F32(first), OnnxColumn::F32(second)];
    predictor.score(&columns, first.len()).scores.remove(0)
}

#[test]
fn a_regressor_reads_back() {
    let first = [0.5, 0.6, 0.6, f32::NAN, f32::INFINITY];
    let second = [9.0, 2.0, 2.1, 2.0, f32::NAN];
    assert_eq!(scores(&Stump::new().model(), &first, &second), [1.5, -1.0, 4.0, -1.0, 4.0]);
}

#[test]
fn what_stands_around_the_trees_is_done() {
    let imputer = operator(
        "Imputer",
        "X",
        "imputed",
        &[floats("imputed_value_floats", &[0.5, 3.0]), {
            let mut replaced = attribute("replaced_value_float", 9, &[]);
            replaced.extend([0x15]); // field 2, 32 bits
            replaced.extend(f32::NAN.to_le_bytes());
            replaced
        }],
    );
    let scale = [floats("offset", &[0.0, 1.0]), floats("scale", &[1.0])];
    let unequal = operator("Scaler", "imputed", "scaled", &scale);
    let error = OnnxTrees::read(&model(&[imputer.clone(), unequal, Stump::new().node()]));
    assert!(matches!(error, Err(ReadError::Unsupported(_))));
    let scale = [floats("offset", &[0.0, 1.0]), floats("scale", &[1.0, 2.0])];
    let scaler = operator("Scaler", "imputed", "X2", &scale);
    let mut trees = Stump::new().node();
    // The trees read `X2` and write `Z`.
    trees.splice(0..6, [0x0a, 2, b'X', b'2', 0x12, 1, b'Z']);
    let after = operator("Exp", "Z", "Y", &[]);
    let answers = scores(
        &model(&[imputer, scaler, trees, after]),
        &[f32::NAN, 0.6, 0.6],
        &[9.0, 2.0, f32::NAN],
    );
    assert_eq!(answers, [1.5_f32.exp(), (-1.0_f32).exp(), 4.0_f32.exp()]);
}

#[test]
fn other_operators_are_refused_by_name() {
    let error = OnnxTrees::read(&model(&[operator("Neg", "X", "Y", &[])]));
    let message = error.expect_err("no trees").to_string();
    assert_eq!(message, "models with the operator `Neg` are not supported");
    let error = OnnxTrees::read(&model(&[operator("Identity", "X", "Y", &[])]));
    assert!(matches!(error, Err(ReadError::Unsupported(_))));
}

#[test]
fn broken_trees_are_told() {
    let mut stump = Stump::new();
    stump.false_ids[2] = 0;
    assert_eq!(stump.error(), "`node 0` is invalid: it leads back to itself");
    let mut stump = Stump::new();
    stump.true_ids[0] = 1 << 31;
    assert_eq!(stump.error(), "`node 0` is invalid: its child 2147483648 is not in tree 0");
    let mut stump = Stump::new();
    stump.values[0] = f32::NAN;
    assert_eq!(stump.error(), "`node 0` is invalid: the threshold is not a number");
    let mut stump = Stump::new();
    stump.values.pop();
    assert_eq!(stump.error(), "`nodes_values` is invalid: 4 entries for 5 nodes");
    let mut stump = Stump::new();
    stump.leaves[0] = 0;
    stump.features[0] = 5;
    assert_eq!(stump.error(), "`node 1` is invalid: a leaf without a weight");
    let mut stump = Stump::new();
    stump.features[0] = 5;
    assert_eq!(stump.error(), "`nodes_featureids` is invalid: feature 5 of 2");
    let mut stump = Stump::new();
    stump.weights[1] = f32::INFINITY;
    assert_eq!(stump.error(), "`weights` is invalid: a leaf of inf");
}

/// Each node of a ladder leads to the next by both branches, so that the tree would have `2^30` leaves.
#[test]
fn shared_children_do_not_grow_without_bound() {
    let rungs = 30;
    let mut stump = Stump::new();
    stump.modes = vec!["BRANCH_LEQ"; rungs];
    stump.modes.push("LEAF");
    stump.values = vec![0.5; rungs + 1];
    stump.features = vec![0; rungs + 1];
    stump.true_ids = (1..=rungs as i64 + 1).collect();
    stump.false_ids.clone_from(&stump.true_ids);
    (stump.leaves, stump.weights) = (vec![rungs as i64], vec![1.0]);
    let error = OnnxTrees::read(&stump.model());
    assert!(matches!(error, Err(ReadError::Unsupported(_))));
}

/// Each `Concat` doubles what the one before it made.
#[test]
fn inputs_side_by_side_do_not_grow_without_bound() {
    let name = |level: usize| if level == 0 { "X".to_owned() } else { format!("X{level}") };
    let double = |level| {
        let mut node = operator("Concat", &name(level), &name(level + 1), &[]);
        put_bytes(&mut node, 1, name(level).as_bytes());
        let mut axis = Vec::new();
        put_bytes(&mut axis, 1, b"axis");
        put_integer(&mut axis, 3, 1);
        put_bytes(&mut node, 5, &axis);
        node
    };
    let mut nodes: Vec<_> = (0..60).map(double).collect();
    nodes.push(Stump::new().node());
    let error = OnnxTrees::read(&model(&nodes)).expect_err("too many").to_string();
    assert_eq!(error, "more than 4096 inputs side by side are not supported");
}

/// "Is one of 2, 5 and 7" as a chain of nodes that share a child is one question.
#[test]
fn chains_of_equals_become_one_question() {
    let stump = Stump {
        modes: vec!["BRANCH_EQ", "BRANCH_EQ", "BRANCH_EQ", "LEAF", "LEAF"],
        values: vec![2.0, 5.0, 7.0, 0.0, 0.0],
        features: vec![0; 5],
        true_ids: vec![3, 3, 3, 0, 0],
        false_ids: vec![1, 2, 4, 0, 0],
        leaves: vec![3, 4],
        weights: vec![1.0, 0.0],
    };
    let trees = OnnxTrees::read(&stump.model()).expect("a model");
    assert_eq!(trees.ensemble().trees[0].nodes.len(), 3);
    let first = [1.0, 2.0, 5.0, 6.0, 7.0, 2.5, f32::NAN];
    let answers = scores(&stump.model(), &first, &[0.0; 7]);
    assert_eq!(answers, [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn every_cut_of_a_model_is_noticed() {
    let model = Stump::new().model();
    for end in 0..model.len() {
        assert!(OnnxTrees::read(&model[..end]).is_err(), "cut at {end}");
    }
}

proptest! {
    #[test]
    fn damaged_models_are_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut model = Stump::new().model();
        let at = at.index(model.len());
        model[at] = byte;
        if let Ok(trees) = OnnxTrees::read(&model) {
            let outputs = trees.outputs().len();
            let Ok(predictor) = trees.predictor(&[2]) else { return Ok(()) };
            let columns = [OnnxColumn::F32(&[0.0, f32::NAN]), OnnxColumn::F32(&[2.0, 1.0])];
            assert_eq!(predictor.score(&columns, 2).scores.len(), outputs);
        }
    }
}

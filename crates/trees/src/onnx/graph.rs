//! Walks a model's operators: those before the trees, the trees, those after them. Anything that is not
//! known here ends the walk, and the model is left to ONNX Runtime.

use std::collections::HashMap;

use super::{
    attributes::{Labels, Operator},
    features::{Features, InputType, OnnxInput, Step},
    finish::Finish,
    message::{Graph, Node, Tensor, Variable, element},
};
use crate::{
    Dialect, Ensemble,
    read::{MOST_FEATURES, ReadError, within},
};

/// Models of more operators are no exported trees.
const MOST_OPERATORS: usize = 256;

/// So many inputs may stand side by side, at most.
const MOST_PARTS: usize = 1 << 12;

/// What a name in the graph stands for.
#[derive(Debug, Clone)]
enum Meaning {
    Features(Features),
    Labels,
    Scores(Scores),
}

/// The trees' scores, or some of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scores {
    /// The first of them.
    pub(super) from: usize,
    pub(super) count: usize,
    /// What is done to each.
    pub(super) steps: Vec<ScoreStep>,
    /// The classes' names, if a `ZipMap` names them.
    pub(super) classes: Option<Vec<String>>,
}

/// What is done to a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ScoreStep {
    Add(f32),
    Multiply(f32),
    Exp,
}

/// A model that is nothing but trees.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) inputs: Vec<OnnxInput>,
    pub(super) features: Features,
    pub(super) ensemble: Ensemble,
    pub(super) finish: Finish,
    /// The outputs, in order: labels, or scores.
    pub(super) outputs: Vec<(String, Option<Scores>)>,
}

struct Walk<'a, 'b> {
    constants: HashMap<&'b str, &'b Tensor<'a>>,
    meanings: HashMap<&'b str, Meaning>,
    trees: Option<(Features, Ensemble, Finish)>,
}

/// Walks `graph`.
pub(super) fn walk(graph: &Graph<'_>) -> Result<Walked, ReadError> {
    check_operators(graph)?;
    let constants: HashMap<&str, &Tensor<'_>> =
        graph.constants.iter().map(|constant| (constant.name.as_str(), constant)).collect();
    let mut walk = Walk { constants, meanings: HashMap::new(), trees: None };
    let mut inputs = Vec::new();
    // Old models list their weights among the inputs.
    for variable in &graph.inputs {
        if !walk.constants.contains_key(variable.name.as_str()) {
            let input = input(variable)?;
            let features = Features::of_input(inputs.len(), &input);
            walk.meanings.insert(&variable.name, Meaning::Features(features));
            inputs.push(input);
        }
    }
    for node in &graph.nodes {
        walk.node(node)?;
    }
    let outputs =
        graph.outputs.iter().map(|output| walk.output(output)).collect::<Result<_, _>>()?;
    let (features, ensemble, finish) = walk.trees.ok_or_else(no_trees)?;
    Ok(Walked { inputs, features, ensemble, finish, outputs })
}

/// Whether all operators are known and just one is trees; before anything costly is read.
fn check_operators(graph: &Graph<'_>) -> Result<(), ReadError> {
    if graph.nodes.len() > MOST_OPERATORS {
        let message = format!("models of more than {MOST_OPERATORS} operators");
        return Err(ReadError::Unsupported(message));
    }
    let mut trees = 0;
    for node in &graph.nodes {
        let known = match (node.domain.as_str(), node.operator.as_str()) {
            ("ai.onnx.ml", "TreeEnsembleRegressor" | "TreeEnsembleClassifier" | "TreeEnsemble") => {
                trees += 1;
                true
            }
            ("ai.onnx.ml", "Imputer" | "Scaler" | "ZipMap") => true,
            ("" | "ai.onnx", operator) => matches!(
                operator,
                "Cast"
                    | "Identity"
                    | "Concat"
                    | "Add"
                    | "Sub"
                    | "Mul"
                    | "Div"
                    | "Exp"
                    | "Reshape"
                    | "Slice"
            ),
            _ => false,
        };
        if !known {
            let message = format!("models with the operator `{}`", node.operator);
            return Err(ReadError::Unsupported(message));
        }
    }
    match trees {
        0 => Err(no_trees()),
        1 => Ok(()),
        _ => Err(ReadError::Unsupported("models of several tree ensembles".to_owned())),
    }
}

fn no_trees() -> ReadError {
    ReadError::Unsupported("models without trees".to_owned())
}

/// An input, if it has a row for each record.
fn input(variable: &Variable) -> Result<OnnxInput, ReadError> {
    let name = variable.name.clone();
    let Some(r#type) = InputType::of(variable.element) else {
        return Err(ReadError::Unsupported(format!("inputs of the type of `{name}`")));
    };
    let width = match variable.shape.as_deref() {
        Some([_, width]) => *width,
        _ => return Err(ReadError::Unsupported(format!("inputs of the shape of `{name}`"))),
    };
    within(width.unwrap_or(1), MOST_FEATURES)
        .map_err(|message| ReadError::Invalid { path: format!("input {name}"), message })?;
    if width == Some(0) {
        return Err(ReadError::Unsupported("inputs of no values".to_owned()));
    }
    Ok(OnnxInput { name, r#type, width })
}

impl<'a, 'b> Walk<'a, 'b> {
    fn node(&mut self, node: &'b Node<'a>) -> Result<(), ReadError> {
        let first = node.inputs.first().ok_or_else(|| unexpected(node))?;
        if node.operator.starts_with("TreeEnsemble") {
            return self.trees(node, first);
        }
        let meaning = match node.operator.as_str() {
            "Concat" => self.concat(node)?,
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node)?,
            _ => {
                let meaning = self.meaning(first)?;
                match meaning {
                    Meaning::Features(features) => Meaning::Features(before_trees(node, features)?),
                    Meaning::Labels => self.labels(node)?,
                    Meaning::Scores(scores) => Meaning::Scores(self.scores(node, scores)?),
                }
            }
        };
        let [output] = node.outputs.as_slice() else { return Err(unexpected(node)) };
        self.meanings.insert(output, meaning);
        Ok(())
    }

    fn meaning(&self, name: &str) -> Result<Meaning, ReadError> {
        self.meanings.get(name).cloned().ok_or_else(|| {
            ReadError::Unsupported(format!("operators on something else than `{name}`"))
        })
    }

    fn constant(&self, node: &Node<'_>, input: usize) -> Result<&'b Tensor<'a>, ReadError> {
        let constant = node.inputs.get(input).and_then(|name| self.constants.get(name.as_str()));
        constant.copied().ok_or_else(|| unexpected(node))
    }

    fn trees(&mut self, node: &'b Node<'a>, input: &str) -> Result<(), ReadError> {
        let Meaning::Features(features) = self.meaning(input)? else {
            return Err(unexpected(node));
        };
        let Some(double) = features.is_double() else {
            return Err(ReadError::Unsupported("trees on whole numbers".to_owned()));
        };
        let operator = match node.operator.as_str() {
            "TreeEnsembleRegressor" => Operator::regressor(node, double)?,
            "TreeEnsembleClassifier" => Operator::classifier(node, double)?,
            _ => Operator::tree_ensemble(node, double)?,
        };
        let dialect = if double { Dialect::LightGbm } else { Dialect::XgBoost };
        let (ensemble, votes) = operator.forest.ensemble(dialect, operator.targets)?;
        let finish = Finish::new(operator, &votes)?;
        let scores = Scores { from: 0, count: finish.width(), steps: Vec::new(), classes: None };
        let mut outputs = node.outputs.iter();
        if finish.labels().is_some() {
            outputs.next().and_then(|name| self.meanings.insert(name, Meaning::Labels));
        }
        outputs.next().and_then(|name| self.meanings.insert(name, Meaning::Scores(scores)));
        self.trees = Some((features, ensemble, finish));
        Ok(())
    }

    /// Several inputs side by side.
    fn concat(&self, node: &Node<'_>) -> Result<Meaning, ReadError> {
        if !matches!(node.int("axis"), Some(1 | -1)) {
            return Err(unexpected(node));
        }
        let mut parts = Vec::new();
        for name in &node.inputs {
            let Meaning::Features(features) = self.meaning(name)? else {
                return Err(unexpected(node));
            };
            parts.extend(features.parts);
            if parts.len() > MOST_PARTS {
                let message = format!("more than {MOST_PARTS} inputs side by side");
                return Err(ReadError::Unsupported(message));
            }
        }
        Ok(Meaning::Features(Features { parts }))
    }

    /// Arithmetic with a constant: a number, or one a feature.
    fn arithmetic(&self, node: &Node<'_>) -> Result<Meaning, ReadError> {
        let operator = node.operator.as_str();
        let [left, right] = node.inputs.as_slice() else { return Err(unexpected(node)) };
        let commutes = matches!(operator, "Add" | "Mul");
        let swapped = commutes && self.constants.contains_key(left.as_str());
        let (operand, constant) = if swapped { (right, left) } else { (left, right) };
        let meaning = self.meaning(operand)?;
        let constant = self.constants.get(constant.as_str()).ok_or_else(|| unexpected(node))?;
        let flat = matches!(constant.dimensions.as_slice(), [] | [_] | [1, _]);
        if !flat || constant.element != element::FLOAT {
            return Err(unexpected(node));
        }
        let numbers: Vec<f32> = constant.numbers()?.iter().map(|number| *number as f32).collect();
        match meaning {
            Meaning::Features(features) => {
                let step = match operator {
                    "Add" => Step::Add,
                    "Sub" => Step::Subtract,
                    "Mul" => Step::Multiply,
                    _ => Step::Divide,
                };
                let steps: Vec<Step> = numbers.into_iter().map(step).collect();
                Ok(Meaning::Features(features.with(&steps)?))
            }
            Meaning::Scores(mut scores) => {
                let ([number], None) = (numbers.as_slice(), &scores.classes) else {
                    return Err(unexpected(node));
                };
                scores.steps.push(match operator {
                    "Add" => ScoreStep::Add(*number),
                    "Sub" => ScoreStep::Add(-number),
                    "Mul" => ScoreStep::Multiply(*number),
                    _ => return Err(unexpected(node)),
                });
                Ok(Meaning::Scores(scores))
            }
            Meaning::Labels => Err(unexpected(node)),
        }
    }

    /// An operator on the labels that leaves them as they are.
    fn labels(&self, node: &Node<'_>) -> Result<Meaning, ReadError> {
        let labels = self.trees.as_ref().and_then(|(_, _, finish)| finish.labels());
        let own = match labels {
            Some(Labels::Texts(_)) => element::STRING,
            _ => element::INT64,
        };
        let kept = match node.operator.as_str() {
            "Identity" => true,
            "Cast" => node.int("to") == Some(own),
            "Reshape" => self.constant(node, 1)?.integers()? == [-1],
            _ => false,
        };
        if kept { Ok(Meaning::Labels) } else { Err(unexpected(node)) }
    }

    /// An operator on the scores.
    fn scores(&self, node: &Node<'_>, mut scores: Scores) -> Result<Scores, ReadError> {
        if scores.classes.is_some() {
            return Err(unexpected(node));
        }
        match node.operator.as_str() {
            "Identity" => {}
            "Cast" if node.int("to") == Some(element::FLOAT) => {}
            "Exp" => scores.steps.push(ScoreStep::Exp),
            "Reshape" => {
                let shape = self.constant(node, 1)?.integers()?;
                let width = scores.count as i64;
                if shape != [-1, width] && !(width == 1 && shape == [-1]) {
                    return Err(unexpected(node));
                }
            }
            "Slice" => self.slice(node, &mut scores)?,
            "ZipMap" => scores.classes = Some(zip_map(node, scores.count)?),
            _ => return Err(unexpected(node)),
        }
        Ok(scores)
    }

    /// Some columns of the scores.
    fn slice(&self, node: &Node<'_>, scores: &mut Scores) -> Result<(), ReadError> {
        if node.inputs.len() != 4 {
            return Err(unexpected(node));
        }
        let bound = |input| match self.constant(node, input)?.integers()?.as_slice() {
            [bound] => usize::try_from(*bound).map_err(|_| unexpected(node)),
            _ => Err(unexpected(node)),
        };
        let (start, end, axis) = (bound(1)?, bound(2)?, bound(3)?);
        if axis != 1 || start >= end || end > scores.count {
            return Err(unexpected(node));
        }
        scores.from += start;
        scores.count = end - start;
        Ok(())
    }

    /// Output `variable`: scores, or labels.
    fn output(&self, variable: &Variable) -> Result<(String, Option<Scores>), ReadError> {
        let labels = self.trees.as_ref().and_then(|(_, _, finish)| finish.labels());
        let (scores, expected) = match self.meaning(&variable.name)? {
            Meaning::Scores(Scores { classes: Some(classes), .. }) if classes.is_empty() => {
                return Err(ReadError::Unsupported("maps of no class".to_owned()));
            }
            Meaning::Scores(scores) if scores.classes.is_some() => (Some(scores), 0),
            Meaning::Scores(scores) => (Some(scores), element::FLOAT),
            Meaning::Labels if matches!(labels, Some(Labels::Texts(_))) => (None, element::STRING),
            Meaning::Labels => (None, element::INT64),
            Meaning::Features(_) => {
                return Err(ReadError::Unsupported("features among the outputs".to_owned()));
            }
        };
        if variable.element != expected && variable.element != 0 {
            let message = format!("outputs of the type of `{}`", variable.name);
            return Err(ReadError::Unsupported(message));
        }
        Ok((variable.name.clone(), scores))
    }
}

/// An operator between the inputs and the trees.
fn before_trees(node: &Node<'_>, features: Features) -> Result<Features, ReadError> {
    match node.operator.as_str() {
        "Identity" => Ok(features),
        "Cast" if node.int("to") == Some(element::FLOAT) => Ok(features.narrowed()),
        "Imputer" => {
            let replaced = node.find("replaced_value_float").and_then(|replaced| replaced.float);
            let replaced = replaced.unwrap_or(0.0);
            let values = node.floats("imputed_value_floats");
            if values.is_empty() || !node.ints("imputed_value_int64s").is_empty() {
                return Err(unexpected(node));
            }
            let step = |value: &f32| Step::Impute { replaced, value: *value };
            features.with(&values.iter().map(step).collect::<Vec<_>>())
        }
        "Scaler" => {
            let (offsets, scales) = (node.floats("offset"), node.floats("scale"));
            if offsets.len() != scales.len() || scales.is_empty() {
                return Err(unexpected(node));
            }
            let step =
                |(offset, scale): (&f32, &f32)| Step::Scale { offset: *offset, scale: *scale };
            features.with(&offsets.iter().zip(scales).map(step).collect::<Vec<_>>())
        }
        _ => Err(unexpected(node)),
    }
}

/// The names of a `ZipMap`'s classes, one for each of `count` scores.
fn zip_map(node: &Node<'_>, count: usize) -> Result<Vec<String>, ReadError> {
    let texts = node.texts("classlabels_strings");
    let integers = node.ints("classlabels_int64s");
    let mut names: Vec<String> =
        texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    names.extend(integers.iter().map(i64::to_string));
    if names.len() == count { Ok(names) } else { Err(unexpected(node)) }
}

/// `node` is used in a way that is not known here.
fn unexpected(node: &Node<'_>) -> ReadError {
    let operator = &node.operator;
    ReadError::Unsupported(format!("models with the operator `{operator}` in this place"))
}

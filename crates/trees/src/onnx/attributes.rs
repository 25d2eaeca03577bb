//! The attributes of `TreeEnsembleRegressor` and `TreeEnsembleClassifier` as a [`Forest`], and what the
//! classifier has beside it.

use std::collections::HashMap;

use super::{
    finish::{Aggregate, Transform},
    forest::{Condition, Forest, ForestNode, invalid},
    message::Node,
};
use crate::read::{MOST_GROUPS, ReadError, within};

/// What an operator says, whichever of the three it is.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) forest: Forest,
    pub(super) targets: usize,
    /// What is added to the sums.
    pub(super) base: Vec<f64>,
    pub(super) aggregate: Aggregate,
    pub(super) transform: Transform,
    pub(super) classes: Option<Classes>,
}

/// What a classifier says about its classes.
#[derive(Debug)]
pub(super) struct Classes {
    pub(super) labels: Labels,
    /// All weights are for one of two classes.
    pub(super) binary: bool,
    /// No weight is negative.
    pub(super) all_positive: bool,
}

/// The names of a classifier's classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// They are numbers.
    Integers(Vec<i64>),
    /// They are texts.
    Texts(Vec<String>),
}

impl Labels {
    /// How many classes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Integers(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    /// Whether there is no class.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Operator {
    /// Reads a `TreeEnsembleRegressor`. `double` says whether the features are doubles.
    pub(super) fn regressor(node: &Node<'_>, double: bool) -> Result<Self, ReadError> {
        let targets = usize::try_from(node.int("n_targets").unwrap_or(0)).unwrap_or(0);
        let aggregate = Aggregate::named(&node.text_or("aggregate_function", "SUM"))?;
        Self::read(node, double, "target", targets, aggregate, None)
    }

    /// Reads a `TreeEnsembleClassifier`.
    pub(super) fn classifier(node: &Node<'_>, double: bool) -> Result<Self, ReadError> {
        let texts = node.texts("classlabels_strings");
        let labels = if texts.is_empty() {
            Labels::Integers(node.ints("classlabels_int64s").to_vec())
        } else {
            let text = |text: &&[u8]| String::from_utf8_lossy(text).into_owned();
            Labels::Texts(texts.iter().map(text).collect())
        };
        if labels.len() < 2 {
            return Err(ReadError::Unsupported("classifiers of one class".to_owned()));
        }
        let classes = node.ints("class_ids");
        let weights = numbers(node, "class_weights", double)?;
        let binary = labels.len() == 2
            && !classes.is_empty()
            && classes.iter().all(|class| *class == classes[0]);
        let all_positive = weights.iter().all(|weight| *weight >= 0.0);
        let targets = labels.len();
        let classes = Classes { labels, binary, all_positive };
        Self::read(node, double, "class", targets, Aggregate::Sum, Some(classes))
    }

    fn read(
        node: &Node<'_>,
        double: bool,
        prefix: &str,
        targets: usize,
        aggregate: Aggregate,
        classes: Option<Classes>,
    ) -> Result<Self, ReadError> {
        within(targets, MOST_GROUPS).map_err(|message| wrong("n_targets", message))?;
        if targets == 0 {
            return Err(wrong("n_targets", "there has to be a target".to_owned()));
        }
        let base = numbers(node, "base_values", double)?;
        if let Some(value) = base.iter().find(|value| !value.is_finite()) {
            return Err(wrong("base_values", format!("a value of {value}")));
        }
        Ok(Self {
            forest: Arrays::read(node, double, prefix)?.forest(targets)?,
            targets,
            base,
            aggregate,
            transform: Transform::named(&node.text_or("post_transform", "NONE"))?,
            classes,
        })
    }
}

/// The parallel arrays of a forest.
struct Arrays<'a> {
    tree_ids: &'a [i64],
    node_ids: &'a [i64],
    feature_ids: &'a [i64],
    modes: &'a [&'a [u8]],
    values: Vec<f64>,
    true_ids: &'a [i64],
    false_ids: &'a [i64],
    missing_is_true: &'a [i64],
    vote_trees: &'a [i64],
    vote_nodes: &'a [i64],
    vote_targets: &'a [i64],
    vote_weights: Vec<f64>,
}

impl<'a> Arrays<'a> {
    fn read(node: &'a Node<'_>, double: bool, prefix: &str) -> Result<Self, ReadError> {
        let named = |name: &str| format!("{prefix}_{name}");
        let arrays = Self {
            tree_ids: node.ints("nodes_treeids"),
            node_ids: node.ints("nodes_nodeids"),
            feature_ids: node.ints("nodes_featureids"),
            modes: node.texts("nodes_modes"),
            values: numbers(node, "nodes_values", double)?,
            true_ids: node.ints("nodes_truenodeids"),
            false_ids: node.ints("nodes_falsenodeids"),
            missing_is_true: node.ints("nodes_missing_value_tracks_true"),
            vote_trees: node.ints(&named("treeids")),
            vote_nodes: node.ints(&named("nodeids")),
            vote_targets: node.ints(&named("ids")),
            vote_weights: numbers(node, &named("weights"), double)?,
        };
        let nodes = arrays.tree_ids.len();
        for (name, length) in [
            ("nodes_nodeids", arrays.node_ids.len()),
            ("nodes_featureids", arrays.feature_ids.len()),
            ("nodes_modes", arrays.modes.len()),
            ("nodes_values", arrays.values.len()),
            ("nodes_truenodeids", arrays.true_ids.len()),
            ("nodes_falsenodeids", arrays.false_ids.len()),
        ] {
            same_length(name, length, nodes, "nodes")?;
        }
        if !arrays.missing_is_true.is_empty() {
            let length = arrays.missing_is_true.len();
            same_length("nodes_missing_value_tracks_true", length, nodes, "nodes")?;
        }
        let votes = arrays.vote_trees.len();
        for (name, length) in [
            ("nodeids", arrays.vote_nodes.len()),
            ("ids", arrays.vote_targets.len()),
            ("weights", arrays.vote_weights.len()),
        ] {
            same_length(&named(name), length, votes, "weights")?;
        }
        Ok(arrays)
    }

    fn forest(&self, targets: usize) -> Result<Forest, ReadError> {
        let mut places = HashMap::with_capacity(self.tree_ids.len());
        let mut roots = Vec::new();
        let mut begun = HashMap::new();
        for (index, key) in self.tree_ids.iter().zip(self.node_ids).enumerate() {
            if places.insert(key, index).is_some() {
                return Err(invalid(index, format!("node {} of tree {} again", key.1, key.0)));
            }
            if index == 0 || self.tree_ids[index - 1] != *key.0 {
                roots.push(index);
                if begun.insert(key.0, index).is_some() {
                    return Err(ReadError::Unsupported("trees in pieces".to_owned()));
                }
            }
        }
        let mut votes: HashMap<usize, Vec<(usize, f64)>> = HashMap::new();
        for (vote, key) in self.vote_trees.iter().zip(self.vote_nodes).enumerate() {
            let place = places.get(&key).ok_or_else(|| {
                wrong("weights", format!("there is no node {} in tree {}", key.1, key.0))
            })?;
            let weight = (self.vote_targets[vote], self.vote_weights[vote]);
            votes.entry(*place).or_default().push(checked_vote(weight, targets)?);
        }
        let child = |index: usize, id: &i64| {
            places.get(&(&self.tree_ids[index], id)).copied().ok_or_else(|| {
                let tree = self.tree_ids[index];
                invalid(index, format!("its child {id} is not in tree {tree}"))
            })
        };
        let mut nodes = Vec::with_capacity(self.tree_ids.len());
        for index in 0..self.tree_ids.len() {
            if self.modes[index] == b"LEAF" {
                nodes.push(leaf(index, votes.remove(&index).unwrap_or_default())?);
                continue;
            }
            let condition = condition(index, self.modes[index], self.values[index])?;
            nodes.push(ForestNode::Split {
                feature: feature(index, self.feature_ids[index])?,
                condition,
                missing_is_true: self.missing_is_true.get(index) == Some(&1),
                when_true: child(index, &self.true_ids[index])?,
                when_false: child(index, &self.false_ids[index])?,
            });
        }
        Ok(Forest { nodes, roots })
    }
}

fn condition(index: usize, mode: &[u8], value: f64) -> Result<Condition, ReadError> {
    let make: fn(f64) -> Condition = match mode {
        b"BRANCH_LEQ" => Condition::AtMost,
        b"BRANCH_LT" => Condition::Below,
        b"BRANCH_GTE" => Condition::AtLeast,
        b"BRANCH_GT" => Condition::Above,
        b"BRANCH_EQ" => |value| Condition::OneOf(vec![value]),
        b"BRANCH_NEQ" => Condition::Unequal,
        other => {
            let mode = String::from_utf8_lossy(other);
            return Err(invalid(index, format!("unknown mode `{mode}`")));
        }
    };
    Ok(make(checked_threshold(index, value)?))
}

/// A threshold, if it is a number.
pub(super) fn checked_threshold(index: usize, value: f64) -> Result<f64, ReadError> {
    if value.is_nan() {
        return Err(invalid(index, "the threshold is not a number".to_owned()));
    }
    Ok(value)
}

/// A feature's number, if it can be one.
pub(super) fn feature(index: usize, feature: i64) -> Result<usize, ReadError> {
    let number =
        usize::try_from(feature).ok().filter(|number| *number < crate::read::MOST_FEATURES);
    number.ok_or_else(|| invalid(index, format!("feature {feature}")))
}

/// A target and a weight, if they can be ones.
pub(super) fn checked_vote(
    (target, weight): (i64, f64),
    targets: usize,
) -> Result<(usize, f64), ReadError> {
    let place = usize::try_from(target).ok().filter(|target| *target < targets);
    let place = place.ok_or_else(|| wrong("ids", format!("target {target} of {targets}")))?;
    if !weight.is_finite() {
        return Err(wrong("weights", format!("a leaf of {weight}")));
    }
    Ok((place, weight))
}

/// A leaf with its votes: one at least, and one a target at most.
pub(super) fn leaf(index: usize, mut votes: Vec<(usize, f64)>) -> Result<ForestNode, ReadError> {
    if votes.is_empty() {
        return Err(invalid(index, "a leaf without a weight".to_owned()));
    }
    votes.sort_unstable_by_key(|(target, _)| *target);
    if votes.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(ReadError::Unsupported("several weights of a leaf for one target".to_owned()));
    }
    Ok(ForestNode::Leaf { votes })
}

/// The numbers of the attribute `name`, or of its twin that is a tensor. Features that are floats are
/// compared with floats.
fn numbers(node: &Node<'_>, name: &str, double: bool) -> Result<Vec<f64>, ReadError> {
    let tensor = format!("{name}_as_tensor");
    let wide = node.tensor_numbers(&tensor)?;
    let floats = node.floats(name);
    if !wide.is_empty() && !floats.is_empty() {
        return Err(wrong(&tensor, format!("`{name}` is there too")));
    }
    if wide.is_empty() {
        return Ok(floats.iter().copied().map(f64::from).collect());
    }
    if double {
        return Ok(wide);
    }
    Err(ReadError::Unsupported("float features with double thresholds".to_owned()))
}

fn same_length(name: &str, length: usize, count: usize, what: &str) -> Result<(), ReadError> {
    if length == count {
        return Ok(());
    }
    Err(wrong(name, format!("{length} entries for {count} {what}")))
}

/// An error about the attribute `name`.
pub(super) fn wrong(name: &str, message: String) -> ReadError {
    ReadError::Invalid { path: name.to_owned(), message }
}

//! The attributes of `TreeEnsemble` (ai.onnx.ml 5) as a [`Forest`]: splits and leaves are numbered
//! apart, all trees together.

use super::{
    attributes::{Operator, checked_threshold, checked_vote, feature, leaf, wrong},
    finish::{Aggregate, Transform},
    forest::{Condition, Forest, ForestNode, check_members, invalid},
    message::{Node, element},
};
use crate::read::{MOST_GROUPS, ReadError, within};

/// The mode of a node that asks whether the value is one of several.
const MEMBER: i64 = 6;

impl Operator {
    /// Reads a `TreeEnsemble`.
    pub(super) fn tree_ensemble(node: &Node<'_>, double: bool) -> Result<Self, ReadError> {
        if double {
            return Err(ReadError::Unsupported("scores that are doubles".to_owned()));
        }
        let targets = usize::try_from(node.int("n_targets").unwrap_or(0)).unwrap_or(0);
        within(targets, MOST_GROUPS).map_err(|message| wrong("n_targets", message))?;
        if targets == 0 {
            return Err(wrong("n_targets", "there has to be a target".to_owned()));
        }
        let transform = Transform::numbered(node.int("post_transform").unwrap_or(0))?;
        Ok(Self {
            forest: Arrays::read(node)?.forest(targets)?,
            targets,
            base: Vec::new(),
            aggregate: Aggregate::numbered(node.int("aggregate_function").unwrap_or(1))?,
            transform,
            classes: None,
        })
    }
}

struct Arrays<'a> {
    roots: &'a [i64],
    feature_ids: &'a [i64],
    modes: Vec<i64>,
    splits: Vec<f64>,
    true_ids: &'a [i64],
    true_leaves: &'a [i64],
    false_ids: &'a [i64],
    false_leaves: &'a [i64],
    missing_is_true: &'a [i64],
    members: Vec<f64>,
    leaf_targets: &'a [i64],
    leaf_weights: Vec<f64>,
}

impl<'a> Arrays<'a> {
    fn read(node: &'a Node<'_>) -> Result<Self, ReadError> {
        let modes = node.find("nodes_modes").and_then(|modes| modes.tensor.as_ref());
        let modes = modes.ok_or_else(|| ReadError::Absent { path: "nodes_modes".to_owned() })?;
        let arrays = Self {
            roots: node.ints("tree_roots"),
            feature_ids: node.ints("nodes_featureids"),
            modes: modes.integers()?,
            splits: node.tensor_numbers("nodes_splits")?,
            true_ids: node.ints("nodes_truenodeids"),
            true_leaves: node.ints("nodes_trueleafs"),
            false_ids: node.ints("nodes_falsenodeids"),
            false_leaves: node.ints("nodes_falseleafs"),
            missing_is_true: node.ints("nodes_missing_value_tracks_true"),
            members: node.tensor_numbers("membership_values")?,
            leaf_targets: node.ints("leaf_targetids"),
            leaf_weights: node.tensor_numbers("leaf_weights")?,
        };
        let is_float = |name| {
            let tensor = node.find(name).and_then(|attribute| attribute.tensor.as_ref());
            tensor.is_none_or(|tensor| tensor.element == element::FLOAT)
        };
        if !["nodes_splits", "leaf_weights", "membership_values"].into_iter().all(is_float) {
            let message = "float features with double thresholds".to_owned();
            return Err(ReadError::Unsupported(message));
        }
        arrays.check_lengths()?;
        Ok(arrays)
    }

    fn check_lengths(&self) -> Result<(), ReadError> {
        let nodes = self.feature_ids.len();
        for (name, length, expected) in [
            ("nodes_modes", self.modes.len(), nodes),
            ("nodes_splits", self.splits.len(), nodes),
            ("nodes_truenodeids", self.true_ids.len(), nodes),
            ("nodes_trueleafs", self.true_leaves.len(), nodes),
            ("nodes_falsenodeids", self.false_ids.len(), nodes),
            ("nodes_falseleafs", self.false_leaves.len(), nodes),
            ("leaf_weights", self.leaf_weights.len(), self.leaf_targets.len()),
        ] {
            if length != expected {
                return Err(wrong(name, format!("{length} entries, not {expected}")));
            }
        }
        let missing = self.missing_is_true.len();
        if missing != 0 && missing != nodes {
            let name = "nodes_missing_value_tracks_true";
            return Err(wrong(name, format!("{missing} entries, not {nodes}")));
        }
        Ok(())
    }

    /// The forest: first the splits, then the leaves.
    fn forest(&self, targets: usize) -> Result<Forest, ReadError> {
        let splits = self.feature_ids.len();
        let mut members = self.members.iter();
        let mut nodes = Vec::with_capacity(splits + self.leaf_targets.len());
        for index in 0..splits {
            nodes.push(ForestNode::Split {
                feature: feature(index, self.feature_ids[index])?,
                condition: self.condition(index, &mut members)?,
                missing_is_true: self.missing_is_true.get(index).is_some_and(|flag| *flag == 1),
                when_true: self.child(index, self.true_ids[index], self.true_leaves[index])?,
                when_false: self.child(index, self.false_ids[index], self.false_leaves[index])?,
            });
        }
        for (index, target) in self.leaf_targets.iter().enumerate() {
            let vote = checked_vote((*target, self.leaf_weights[index]), targets)?;
            nodes.push(leaf(splits + index, vec![vote])?);
        }
        let root = |root: &i64| {
            let place = usize::try_from(*root).ok().filter(|place| *place < splits);
            let place =
                place.ok_or_else(|| wrong("tree_roots", format!("node {root} of {splits}")))?;
            // How a tree of one leaf is written, which readers understand differently.
            if self.true_ids[place] == self.false_ids[place] {
                return Err(ReadError::Unsupported("trees of one leaf".to_owned()));
            }
            Ok(place)
        };
        let roots = self.roots.iter().map(root).collect::<Result<_, _>>()?;
        Ok(Forest { nodes, roots })
    }

    fn child(&self, index: usize, id: i64, is_leaf: i64) -> Result<usize, ReadError> {
        let (splits, leaves) = (self.feature_ids.len(), self.leaf_targets.len());
        let (first, count) = if is_leaf == 0 { (0, splits) } else { (splits, leaves) };
        let place = usize::try_from(id).ok().filter(|place| *place < count);
        let what = if is_leaf == 0 { "nodes" } else { "leaves" };
        place
            .map(|place| first + place)
            .ok_or_else(|| invalid(index, format!("child {id} of {count} {what}")))
    }

    /// The condition of node `index`; `members` are those of the nodes from there on, each node's
    /// ended by a `NaN`.
    fn condition<'b>(
        &self,
        index: usize,
        members: &mut impl Iterator<Item = &'b f64>,
    ) -> Result<Condition, ReadError> {
        let mode = self.modes[index];
        if mode == MEMBER {
            let own: Vec<f64> = members.take_while(|member| !member.is_nan()).copied().collect();
            if own.is_empty() {
                return Err(invalid(index, "no members to compare with".to_owned()));
            }
            check_members(&own)?;
            return Ok(Condition::OneOf(own));
        }
        let value = checked_threshold(index, self.splits[index])?;
        Ok(match mode {
            0 => Condition::AtMost(value),
            1 => Condition::Below(value),
            2 => Condition::AtLeast(value),
            3 => Condition::Above(value),
            4 => Condition::OneOf(vec![value]),
            5 => Condition::Unequal(value),
            _ => return Err(invalid(index, format!("unknown mode {mode}"))),
        })
    }
}

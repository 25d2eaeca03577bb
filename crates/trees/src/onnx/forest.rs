//! The trees of an ONNX operator as a graph of nodes, and that graph as an [`Ensemble`].
//!
//! ONNX lets nodes share children: onnxmltools writes "is one of these" as a chain of "equals this"
//! whose true branches lead to one node. Such chains become one question; what is shared otherwise
//! is copied. A target of its own becomes a tree of its own, of the same shape.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    ensemble::{CategorySet, Dialect, Ensemble, Missing, Node, Test, Tree, number_key},
    link::Link,
    read::ReadError,
};

/// Trees of more nodes, copies included, are left to a runtime that keeps them smaller.
const MOST_NODES: usize = 1 << 23;

/// So many nodes may be made of each node and vote of the model. Forests of several targets need two.
const MOST_COPIES: usize = 8;

/// However small a model is, so many nodes may be made of it.
const FEW_NODES: usize = 1 << 10;

/// All trees of an operator.
#[derive(Debug, Default)]
pub(super) struct Forest {
    pub(super) nodes: Vec<ForestNode>,
    /// Each tree's root, in the order in which leaves are added up.
    pub(super) roots: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum ForestNode {
    /// What the leaf adds to which target, in the order of the targets.
    Leaf { votes: Vec<(usize, f64)> },
    Split {
        feature: usize,
        condition: Condition,
        missing_is_true: bool,
        when_true: usize,
        when_false: usize,
    },
}

/// What a node asks of a value. `NaN` is a "no", but for [`Condition::Unequal`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
    Above(f64),
    Unequal(f64),
    OneOf(Vec<f64>),
}

/// Which of a forest's trees vote for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Votes {
    /// A tree does whatever the row.
    Always,
    /// It depends on the row whether one does.
    Sometimes,
    Never,
}

/// A tree with what is shared copied. The first is the root; children follow their parents.
type Shape = Vec<ShapeNode>;

enum ShapeNode {
    /// The leaf's place among the forest's nodes.
    Leaf(usize),
    Split {
        feature: usize,
        test: Test,
        left: usize,
        right: usize,
    },
}

impl Forest {
    /// The ensemble with `targets` sums, and how each target is voted for.
    pub(super) fn ensemble(
        &self,
        dialect: Dialect,
        targets: usize,
    ) -> Result<(Ensemble, Vec<Votes>), ReadError> {
        self.check_acyclic()?;
        let mut votes = vec![Votes::Never; targets];
        let mut trees = Vec::new();
        let mut features = 0;
        let mut room = self.room();
        let mut copies = room;
        for root in &self.roots {
            let shape = self.shape(*root, dialect, &mut room)?;
            let leaves = shape.iter().filter(|node| matches!(node, ShapeNode::Leaf(_))).count();
            for (target, voting) in self.votes(&shape) {
                if voting == leaves {
                    votes[target] = Votes::Always;
                } else if votes[target] == Votes::Never {
                    votes[target] = Votes::Sometimes;
                }
                copies = copies.checked_sub(shape.len()).ok_or_else(too_large)?;
                trees.push(self.tree(&shape, target));
            }
            let asked = shape.iter().filter_map(|node| match node {
                ShapeNode::Split { feature, .. } => Some(feature + 1),
                ShapeNode::Leaf(_) => None,
            });
            features = asked.fold(features, usize::max);
        }
        let ensemble = Ensemble {
            dialect,
            features,
            names: None,
            base: vec![0.0; targets],
            trees,
            divisor: 1.0,
            link: Link::Identity,
        };
        Ok((ensemble, votes))
    }

    /// How many nodes may be made of these.
    fn room(&self) -> usize {
        let votes = self.nodes.iter().map(|node| match node {
            ForestNode::Leaf { votes } => votes.len(),
            ForestNode::Split { .. } => 0,
        });
        let parts = self.nodes.len() + votes.sum::<usize>();
        (FEW_NODES + parts.saturating_mul(MOST_COPIES)).min(MOST_NODES)
    }

    /// Makes sure that no node leads back to itself.
    fn check_acyclic(&self) -> Result<(), ReadError> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            Unseen,
            Open,
            Done,
        }
        let mut states = vec![State::Unseen; self.nodes.len()];
        for root in &self.roots {
            let mut path = vec![*root];
            while let Some(node) = path.last().copied() {
                let children = match &self.nodes[node] {
                    ForestNode::Split { when_true, when_false, .. }
                        if states[node] == State::Unseen =>
                    {
                        [*when_true, *when_false]
                    }
                    _ => {
                        states[node] = State::Done;
                        path.pop();
                        continue;
                    }
                };
                states[node] = State::Open;
                for child in children {
                    match states[child] {
                        State::Open => {
                            return Err(invalid(child, "it leads back to itself".to_owned()));
                        }
                        State::Unseen => path.push(child),
                        State::Done => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// The tree below `root`; its nodes and their categories are taken off `room`.
    fn shape(&self, root: usize, dialect: Dialect, room: &mut usize) -> Result<Shape, ReadError> {
        let mut sources = vec![root];
        let mut take = |count| {
            *room = room.checked_sub(count).ok_or_else(too_large)?;
            Ok::<(), ReadError>(())
        };
        let mut shape = Vec::new();
        while let Some(source) = sources.get(shape.len()).copied() {
            let node = match &self.nodes[source] {
                ForestNode::Leaf { .. } => ShapeNode::Leaf(source),
                ForestNode::Split { feature, .. } => {
                    let (test, branches) = self.question(source, dialect)?;
                    let left = sources.len();
                    sources.extend(branches);
                    take(2 + test.categories())?;
                    ShapeNode::Split { feature: *feature, test, left, right: left + 1 }
                }
            };
            shape.push(node);
        }
        Ok(shape)
    }

    /// What the split `source` asks, and the nodes to its left and right.
    fn question(&self, source: usize, dialect: Dialect) -> Result<(Test, [usize; 2]), ReadError> {
        let ForestNode::Split { condition, missing_is_true, when_true, when_false, .. } =
            &self.nodes[source]
        else {
            unreachable!("leaves ask nothing");
        };
        let (yes, no) = (*when_true, *when_false);
        let missing = *missing_is_true;
        Ok(match condition {
            Condition::AtMost(threshold) => (up_to(dialect, *threshold, true, missing), [yes, no]),
            Condition::Below(threshold) => (up_to(dialect, *threshold, false, missing), [yes, no]),
            Condition::AtLeast(threshold) => {
                (up_to(dialect, *threshold, false, !missing), [no, yes])
            }
            Condition::Above(threshold) => (up_to(dialect, *threshold, true, !missing), [no, yes]),
            Condition::Unequal(number) => (one_of([*number], false), [no, yes]),
            Condition::OneOf(numbers) => {
                let (joined, no) = self.chain(source, numbers.clone(), no);
                if joined.len() > 1 {
                    check_members(&joined)?;
                }
                (one_of(joined, missing), [yes, no])
            }
        })
    }

    /// Joins the questions that follow `source`, which asks for `numbers`, if they ask the same for
    /// other numbers. Also where "no" leads then.
    fn chain(&self, source: usize, mut numbers: Vec<f64>, no: usize) -> (Vec<f64>, usize) {
        let ForestNode::Split { feature, missing_is_true, when_true, .. } = &self.nodes[source]
        else {
            return (numbers, no);
        };
        let mut last = no;
        while let ForestNode::Split {
            feature: next_feature,
            condition: Condition::OneOf(more),
            missing_is_true: next_missing,
            when_true: next_true,
            when_false,
        } = &self.nodes[last]
            && (next_feature, next_missing, next_true) == (feature, missing_is_true, when_true)
        {
            numbers.extend(more);
            last = *when_false;
        }
        (numbers, last)
    }

    /// How many leaves of `shape` vote for each target for which one does.
    fn votes(&self, shape: &Shape) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for node in shape {
            if let ShapeNode::Leaf(source) = node
                && let ForestNode::Leaf { votes } = &self.nodes[*source]
            {
                for (target, _) in votes {
                    *counts.entry(*target).or_default() += 1;
                }
            }
        }
        counts
    }

    /// The tree of `shape` whose leaves hold their votes for `target`.
    fn tree(&self, shape: &Shape, target: usize) -> Tree {
        let mut leaves = 0;
        let node = |node: &ShapeNode| match node {
            ShapeNode::Leaf(source) => {
                let votes = match &self.nodes[*source] {
                    ForestNode::Leaf { votes } => votes.as_slice(),
                    ForestNode::Split { .. } => &[],
                };
                let vote = votes.binary_search_by_key(&target, |(voted, _)| *voted);
                leaves += 1;
                Node::Leaf { value: vote.map_or(0.0, |vote| votes[vote].1), id: leaves - 1 }
            }
            ShapeNode::Split { feature, test, left, right } => Node::Split {
                feature: *feature as u32,
                test: test.clone(),
                left: *left as u32,
                right: *right as u32,
            },
        };
        Tree { group: target, nodes: shape.iter().map(node).collect() }
    }
}

/// Left for values up to `threshold`, itself included or not, in the comparison of `dialect`.
fn up_to(dialect: Dialect, threshold: f64, inclusive: bool, missing_left: bool) -> Test {
    let nothing = |members_left| Test::Category {
        set: Arc::new(CategorySet::Numbers(Vec::new())),
        members_left,
        missing_left,
    };
    let threshold = match (dialect, inclusive) {
        (Dialect::XgBoost, true) if threshold == f64::INFINITY => return nothing(false),
        (Dialect::XgBoost, true) => f64::from((threshold as f32).next_up()),
        (Dialect::LightGbm, false) if threshold == f64::NEG_INFINITY => return nothing(true),
        (Dialect::LightGbm, false) => threshold.next_down(),
        (Dialect::XgBoost, false) | (Dialect::LightGbm, true) => threshold,
    };
    Test::Threshold { threshold, missing: Missing::Nan, missing_left }
}

/// Left for `numbers`.
fn one_of(numbers: impl IntoIterator<Item = f64>, missing_left: bool) -> Test {
    let mut keys: Vec<u64> = numbers.into_iter().map(number_key).collect();
    keys.sort_unstable();
    keys.dedup();
    Test::Category { set: Arc::new(CategorySet::Numbers(keys)), members_left: true, missing_left }
}

/// Makes sure that ONNX Runtime compares with `members` as with numbers: if one is negative, it cuts the
/// fraction off the value first (as of version 1.31).
pub(super) fn check_members(members: &[f64]) -> Result<(), ReadError> {
    if members.iter().any(|member| *member < 0.0) {
        return Err(ReadError::Unsupported("sets with negative members".to_owned()));
    }
    Ok(())
}

fn too_large() -> ReadError {
    ReadError::Unsupported(format!("trees of more than {MOST_NODES} nodes in all"))
}

/// An error about node number `node` of the operator.
pub(super) fn invalid(node: usize, message: String) -> ReadError {
    ReadError::Invalid { path: format!("node {node}"), message }
}

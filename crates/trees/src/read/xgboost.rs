//! XGBoost's models (JSON and UBJSON hold the same document).

use std::sync::Arc;

use super::{
    MOST_FEATURES, MOST_GROUPS, ReadError,
    layout::{Children, NOWHERE, lay_out},
    within,
};
use crate::{
    document::{At, Value},
    ensemble::{CategorySet, Dialect, Ensemble, Missing, Node, Test, Tree},
    link::Link,
};

/// Members that a predictor has no use for.
pub(super) const UNUSED: &[&str] =
    &["base_weights", "loss_changes", "sum_hessian", "parents", "config"];

/// XGBoost takes no number from here on for a category.
const LARGEST_CATEGORY: i64 = 1 << 24;

/// XGBoost keeps base scores that are probabilities this far from 0 and from 1.
const NEAREST_TO_0: f32 = 1e-6;

/// The ensemble of a document.
pub(super) fn ensemble(document: &Value) -> Result<Ensemble, ReadError> {
    let learner = At::root(document).get("learner")?;
    let parameters = learner.get("learner_model_param")?;
    let features = parameters.get("num_feature")?.size()?;
    let classes = parameters.size_or("num_class", 0)?;
    let targets = parameters.size_or("num_target", 1)?;
    let groups = classes.max(targets).max(1);
    within(features, MOST_FEATURES).map_err(|message| parameters.invalid(message))?;
    within(groups, MOST_GROUPS).map_err(|message| parameters.invalid(message))?;
    let link = Objective::read(&learner)?;
    let trees = booster(&learner, features, groups)?;
    Ok(Ensemble {
        dialect: Dialect::XgBoost,
        features,
        names: feature_names(&learner, features)?,
        base: base_scores(&parameters.get("base_score")?, groups, &link)?,
        trees,
        divisor: 1.0,
        link: link.link,
    })
}

/// What the objective makes of margins, and of the base score.
struct Objective {
    link: Link,
    /// The base score is in the space of the answers; this brings it among the margins.
    to_margin: fn(f32) -> f32,
}

impl Objective {
    fn read(learner: &At<'_>) -> Result<Self, ReadError> {
        let name = learner.get("objective")?.get("name")?;
        let identity: fn(f32) -> f32 = |score| score;
        let logit: fn(f32) -> f32 =
            |score| -(1.0 / score.clamp(NEAREST_TO_0, 1.0 - NEAREST_TO_0) - 1.0).ln();
        let (link, to_margin) = match name.text()? {
            "binary:logistic" | "reg:logistic" => (Link::Sigmoid { scale: 1.0 }, logit),
            "binary:hinge" => (Link::Hinge, identity),
            "multi:softprob" => (Link::Softmax, identity),
            "multi:softmax" => (Link::Argmax, identity),
            "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => {
                (Link::Exp, f32::ln as fn(f32) -> f32)
            }
            "binary:logitraw"
            | "reg:squarederror"
            | "reg:linear"
            | "reg:squaredlogerror"
            | "reg:absoluteerror"
            | "reg:pseudohubererror"
            | "reg:quantileerror"
            | "rank:pairwise"
            | "rank:ndcg"
            | "rank:map" => (Link::Identity, identity),
            other => return Err(name.invalid(format!("unknown objective `{other}`"))),
        };
        Ok(Self { link, to_margin })
    }
}

fn feature_names(learner: &At<'_>, features: usize) -> Result<Option<Vec<String>>, ReadError> {
    let Some(at) = learner.find("feature_names")? else { return Ok(None) };
    let names: Vec<String> =
        at.list()?.iter().map(|name| name.text().map(str::to_owned)).collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Ok(None);
    }
    if names.len() != features {
        return Err(at.invalid(format!("{} names for {features} features", names.len())));
    }
    Ok(Some(names))
}

/// The margins that sums start with. The base score is a number in a string; since version 3.1 a
/// vector of them, such as `[5E-1]`.
fn base_scores(at: &At<'_>, groups: usize, objective: &Objective) -> Result<Vec<f64>, ReadError> {
    let text = at.text()?;
    let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
    let scores: Vec<f32> = inner
        .split(',')
        .map(|score| score.trim().parse::<f32>())
        .collect::<Result<_, _>>()
        .map_err(|_| at.invalid(format!("expected a number or a vector, found `{text}`")))?;
    if scores.len() != 1 && scores.len() != groups {
        return Err(at.invalid(format!("{} scores for {groups} outputs", scores.len())));
    }
    let margins: Vec<f32> = scores.iter().map(|score| (objective.to_margin)(*score)).collect();
    if let Some(margin) = margins.iter().find(|margin| !margin.is_finite()) {
        return Err(at.invalid(format!("`{text}` makes a margin of {margin}")));
    }
    Ok((0..groups).map(|group| f64::from(margins[group.min(margins.len() - 1)])).collect())
}

fn booster(learner: &At<'_>, features: usize, groups: usize) -> Result<Vec<Tree>, ReadError> {
    let booster = learner.get("gradient_booster")?;
    let name = booster.get("name")?;
    match name.text()? {
        "gbtree" => trees(&booster.get("model")?, learner, features, groups, None),
        "dart" => {
            let weights = booster.get("weight_drop")?;
            let model = booster.get("gbtree")?.get("model")?;
            trees(&model, learner, features, groups, Some(&weights))
        }
        "gblinear" => Err(ReadError::Unsupported("linear boosters (`gblinear`)".to_owned())),
        other => Err(name.invalid(format!("unknown booster `{other}`"))),
    }
}

fn trees(
    model: &At<'_>,
    learner: &At<'_>,
    features: usize,
    groups: usize,
    weights: Option<&At<'_>>,
) -> Result<Vec<Tree>, ReadError> {
    let at = model.get("trees")?;
    let all = at.list()?;
    let claimed = model.get("gbtree_model_param")?.get("num_trees")?;
    if claimed.size()? != all.len() {
        return Err(claimed.invalid(format!("there are {} trees", all.len())));
    }
    let info = model.get("tree_info")?;
    let tree_groups = info.ints()?;
    if tree_groups.len() != all.len() {
        return Err(info.invalid(format!("{} entries for {} trees", tree_groups.len(), all.len())));
    }
    let tree_weights = weights.map(At::floats).transpose()?;
    if let (Some(at), Some(weights)) = (weights, &tree_weights)
        && weights.len() != all.len()
    {
        return Err(at.invalid(format!("{} entries for {} trees", weights.len(), all.len())));
    }
    let used = trees_in_use(model, learner, all.len(), groups)?;
    let mut trees = Vec::with_capacity(used);
    for (index, tree) in all.iter().take(used).enumerate() {
        let group = usize::try_from(tree_groups[index]).unwrap_or(usize::MAX);
        if group >= groups {
            return Err(info.invalid(format!("tree {index} adds to output {group} of {groups}")));
        }
        let weight = tree_weights.as_ref().map_or(1.0, |weights| weights[index]);
        trees.push(TreeReader::new(tree, features, weight)?.tree(group)?);
    }
    Ok(trees)
}

/// How many trees a prediction uses. `Booster.predict` uses all; the scikit-learn classes, which
/// leave their mark among the attributes when they save, stop after the best iteration.
fn trees_in_use(
    model: &At<'_>,
    learner: &At<'_>,
    all: usize,
    groups: usize,
) -> Result<usize, ReadError> {
    let Some(attributes) = learner.find("attributes")? else { return Ok(all) };
    let (Some(_), Some(best)) =
        (attributes.find("scikit_learn")?, attributes.find("best_iteration")?)
    else {
        return Ok(all);
    };
    let rounds = best.size()?.saturating_add(1);
    if let Some(indptr) = model.find("iteration_indptr")? {
        let starts = indptr.ints()?;
        let end = starts.get(rounds).or(starts.last()).copied();
        let end = end.map_or(Some(all), |end| usize::try_from(end).ok());
        return end
            .filter(|end| *end <= all)
            .ok_or_else(|| indptr.invalid(format!("an iteration ends past {all} trees")));
    }
    let parallel = model.get("gbtree_model_param")?.size_or("num_parallel_tree", 1)?;
    Ok(rounds.saturating_mul(groups).saturating_mul(parallel).min(all))
}

/// One tree's arrays, of one length.
struct TreeReader<'a> {
    at: &'a At<'a>,
    features: usize,
    weight: f32,
    left: Vec<i64>,
    right: Vec<i64>,
    split_indices: Vec<i64>,
    default_left: Vec<i64>,
    conditions: Vec<f32>,
    /// The categories of the nodes that split by them.
    categories: Vec<Option<Arc<CategorySet>>>,
}

impl<'a> TreeReader<'a> {
    fn new(at: &'a At<'a>, features: usize, weight: f32) -> Result<Self, ReadError> {
        let parameters = at.get("tree_param")?;
        if parameters.size_or("size_leaf_vector", 1)? > 1 {
            return Err(ReadError::Unsupported(
                "trees with vector leaves (`multi_strategy=multi_output_tree`)".to_owned(),
            ));
        }
        let count = parameters.get("num_nodes")?;
        let nodes = count.size()?;
        let left = at.get("left_children")?.ints()?.into_owned();
        if nodes != left.len() || nodes == 0 {
            return Err(count.invalid(format!("there are {} nodes", left.len())));
        }
        let array = |name: &str| -> Result<Vec<i64>, ReadError> {
            let member = at.get(name)?;
            let values = member.ints()?.into_owned();
            same_length(&member, values.len(), nodes)?;
            Ok(values)
        };
        let conditions = at.get("split_conditions")?;
        let thresholds = conditions.floats()?.into_owned();
        same_length(&conditions, thresholds.len(), nodes)?;
        Ok(Self {
            at,
            features,
            weight,
            right: array("right_children")?,
            split_indices: array("split_indices")?,
            default_left: array("default_left")?,
            conditions: thresholds,
            categories: categories(at, nodes)?,
            left,
        })
    }

    fn tree(&self, group: usize) -> Result<Tree, ReadError> {
        let child = |index: i64| usize::try_from(index).unwrap_or(NOWHERE);
        lay_out(
            self.left.len(),
            group,
            |node| {
                (self.left[node] != -1).then(|| Children {
                    left: child(self.left[node]),
                    right: child(self.right[node]),
                })
            },
            |node, children| self.node(node, children),
            |node, message| self.wrong(node, message),
        )
    }

    fn node(&self, node: usize, children: Children) -> Result<Node, ReadError> {
        let condition = self.conditions[node];
        if self.left[node] == -1 {
            if !condition.is_finite() {
                return Err(self.wrong(node, format!("a leaf of {condition}")));
            }
            let id = i32::try_from(node).map_err(|_| self.wrong(node, "too many nodes"))?;
            return Ok(Node::Leaf { value: f64::from(condition * self.weight), id });
        }
        let feature = u32::try_from(self.split_indices[node]).unwrap_or(u32::MAX);
        if feature as usize >= self.features {
            let message = format!("feature {} of {}", self.split_indices[node], self.features);
            return Err(self.wrong(node, message));
        }
        let missing_left = self.default_left[node] != 0;
        let test = match &self.categories[node] {
            Some(set) => Test::Category { set: Arc::clone(set), members_left: false, missing_left },
            None if condition.is_nan() => {
                return Err(self.wrong(node, "the threshold is not a number"));
            }
            None => Test::Threshold {
                threshold: f64::from(condition),
                missing: Missing::Nan,
                missing_left,
            },
        };
        Ok(Node::Split { feature, test, left: children.left as u32, right: children.right as u32 })
    }

    fn wrong(&self, node: usize, message: impl Into<String>) -> ReadError {
        ReadError::Invalid {
            path: format!("{} node {node}", self.at.path),
            message: message.into(),
        }
    }
}

fn same_length(at: &At<'_>, length: usize, nodes: usize) -> Result<(), ReadError> {
    if length == nodes {
        return Ok(());
    }
    Err(at.invalid(format!("{length} entries for {nodes} nodes")))
}

/// The categories of each node that splits by them: `categories` holds them one after the other,
/// for the nodes that `categories_nodes` names.
fn categories(at: &At<'_>, nodes: usize) -> Result<Vec<Option<Arc<CategorySet>>>, ReadError> {
    let mut sets = vec![None; nodes];
    let Some(types) = at.find("split_type")? else { return Ok(sets) };
    let split_types = types.ints()?;
    same_length(&types, split_types.len(), nodes)?;
    if split_types.iter().all(|kind| *kind == 0) {
        return Ok(sets);
    }
    let all = at.get("categories")?;
    let numbers = all.ints()?;
    let owners_at = at.get("categories_nodes")?;
    let owners = owners_at.ints()?;
    let segments = at.get("categories_segments")?;
    let sizes = at.get("categories_sizes")?;
    let (starts, lengths) = (segments.ints()?, sizes.ints()?);
    if starts.len() != owners.len() || lengths.len() != owners.len() {
        return Err(owners_at.invalid("its length is not that of the segments and sizes"));
    }
    for ((node, start), length) in owners.iter().zip(starts.iter()).zip(lengths.iter()) {
        let slot = usize::try_from(*node).ok().and_then(|node| sets.get_mut(node));
        let slot = slot.ok_or_else(|| owners_at.invalid(format!("node {node} of {nodes}")))?;
        let members = segment(&numbers, *start, *length).ok_or_else(|| {
            segments.invalid(format!("{length} from {start} of {} categories", numbers.len()))
        })?;
        *slot = Some(Arc::new(category_set(&all, members)?));
    }
    let lacking = (0..nodes).find(|node| (split_types[*node] != 0) != sets[*node].is_some());
    match lacking {
        Some(node) => Err(types.invalid(format!("node {node} and its categories disagree"))),
        None => Ok(sets),
    }
}

fn segment(numbers: &[i64], start: i64, length: i64) -> Option<&[i64]> {
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    numbers.get(start..end)
}

/// Bits take no more room than this for each category that is in the set.
const MOST_WORDS_A_CATEGORY: usize = 64;

fn category_set(at: &At<'_>, members: &[i64]) -> Result<CategorySet, ReadError> {
    if let Some(member) = members.iter().find(|member| !(0..LARGEST_CATEGORY).contains(*member)) {
        return Err(at.invalid(format!("category {member}")));
    }
    let words = members.iter().max().map_or(0, |largest| *largest as usize / 32 + 1);
    if words > members.len() * MOST_WORDS_A_CATEGORY {
        let mut numbers: Vec<u32> = members.iter().map(|member| *member as u32).collect();
        numbers.sort_unstable();
        return Ok(CategorySet::Sparse(numbers));
    }
    let mut bits = vec![0; words];
    for member in members {
        bits[(member / 32) as usize] |= 1 << (member % 32);
    }
    Ok(CategorySet::Bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Value;

    #[test]
    fn sets_take_room_by_their_members() {
        let document = Value::Null;
        let at = At::root(&document);
        let far = category_set(&at, &[LARGEST_CATEGORY - 1, 3]).expect("a set");
        assert_eq!(far, CategorySet::Sparse(vec![3, LARGEST_CATEGORY as u32 - 1]));
        let near = category_set(&at, &[33, 0]).expect("a set");
        assert_eq!(near, CategorySet::Bits(vec![1, 2]));
        for (value, is_member) in [(3.0, true), (3.5, true), (2.0, false), (f64::MAX, false)] {
            assert_eq!(far.contains(value, Dialect::XgBoost), is_member);
        }
        assert!(category_set(&at, &[LARGEST_CATEGORY]).is_err());
        assert_eq!(category_set(&at, &[]), Ok(CategorySet::Bits(Vec::new())));
    }
}

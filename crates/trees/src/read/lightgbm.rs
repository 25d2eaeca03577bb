//! LightGBM's text models: a header of `key=value` lines, then one block of them a tree.

use std::{collections::HashMap, str::FromStr, sync::Arc};

use super::{
    MOST_FEATURES, MOST_GROUPS, ReadError,
    layout::{Children, NOWHERE, lay_out},
    within,
};
use crate::{
    ensemble::{CategorySet, Dialect, Ensemble, Missing, Node, Test, Tree},
    link::Link,
};

/// The line after the last tree.
const END_OF_TREES: &str = "end of trees";

/// `decision_type`: the node splits by categories.
const CATEGORICAL: i64 = 1;
/// `decision_type`: missing values go left.
const DEFAULT_LEFT: i64 = 2;

/// The ensemble of a text.
pub(super) fn ensemble(text: &str) -> Result<Ensemble, ReadError> {
    let (header, blocks) = blocks(text)?;
    let classes: usize = header.parse("num_tree_per_iteration")?;
    let last_feature: usize = header.parse("max_feature_idx")?;
    let features = last_feature.saturating_add(1);
    within(features, MOST_FEATURES)
        .map_err(|message| header.invalid("max_feature_idx", message))?;
    within(classes, MOST_GROUPS)
        .map_err(|message| header.invalid("num_tree_per_iteration", message))?;
    if classes == 0 || blocks.len() % classes != 0 {
        let message = format!("{classes} a round, but there are {} trees", blocks.len());
        return Err(header.invalid("num_tree_per_iteration", message));
    }
    if header.find("tree_sizes").is_some() {
        let sizes: Vec<usize> = header.list("tree_sizes")?;
        if sizes.len() != blocks.len() {
            let message = format!("{} trees, but there are {}", sizes.len(), blocks.len());
            return Err(header.invalid("tree_sizes", message));
        }
    }
    let trees = blocks
        .iter()
        .enumerate()
        .map(|(index, block)| tree(block, features, index % classes))
        .collect::<Result<_, _>>()?;
    let rounds = blocks.len() / classes;
    let averaged = header.find("average_output").is_some() && rounds > 0;
    Ok(Ensemble {
        dialect: Dialect::LightGbm,
        features,
        names: feature_names(&header, features)?,
        base: vec![0.0; classes],
        trees,
        divisor: if averaged { rounds as f64 } else { 1.0 },
        link: link(&header, classes)?,
    })
}

/// The `key=value` lines of the header or of a tree.
struct Block<'a> {
    name: String,
    values: HashMap<&'a str, &'a str>,
}

/// The header and the trees' blocks.
fn blocks(text: &str) -> Result<(Block<'_>, Vec<Block<'_>>), ReadError> {
    let mut all = vec![Block { name: String::new(), values: HashMap::new() }];
    let mut ended = false;
    for line in text.lines() {
        let line = line.trim_end();
        if line == END_OF_TREES {
            ended = true;
            break;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if key == "Tree" {
            all.push(Block { name: format!("Tree={value}"), values: HashMap::new() });
        }
        all.last_mut().expect("the header is there").values.insert(key, value);
    }
    if !ended {
        return Err(ReadError::Absent { path: END_OF_TREES.to_owned() });
    }
    let trees = all.split_off(1);
    Ok((all.remove(0), trees))
}

impl<'a> Block<'a> {
    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{} {key}", self.name) }
    }

    fn invalid(&self, key: &str, message: impl Into<String>) -> ReadError {
        ReadError::Invalid { path: self.path(key), message: message.into() }
    }

    fn find(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).copied()
    }

    fn get(&self, key: &str) -> Result<&'a str, ReadError> {
        self.find(key).ok_or_else(|| ReadError::Absent { path: self.path(key) })
    }

    fn one<T: FromStr>(&self, key: &str, text: &str) -> Result<T, ReadError> {
        text.parse().map_err(|_| self.invalid(key, format!("`{text}` is not a number it can be")))
    }

    fn parse<T: FromStr>(&self, key: &str) -> Result<T, ReadError> {
        self.one(key, self.get(key)?.trim())
    }

    fn list<T: FromStr>(&self, key: &str) -> Result<Vec<T>, ReadError> {
        self.get(key)?.split_ascii_whitespace().map(|text| self.one(key, text)).collect()
    }

    /// A list of `length` numbers.
    fn array<T: FromStr>(&self, key: &str, length: usize) -> Result<Vec<T>, ReadError> {
        let values = self.list(key)?;
        if values.len() == length {
            return Ok(values);
        }
        Err(self.invalid(key, format!("{} entries, not {length}", values.len())))
    }
}

fn feature_names(header: &Block<'_>, features: usize) -> Result<Option<Vec<String>>, ReadError> {
    let Some(text) = header.find("feature_names") else { return Ok(None) };
    let names: Vec<String> = text.split(' ').map(str::to_owned).collect();
    if names.len() != features {
        let message = format!("{} names for {features} features", names.len());
        return Err(header.invalid("feature_names", message));
    }
    // What LightGBM calls features that have no name.
    let unnamed = |(index, name): (usize, &String)| *name == format!("Column_{index}");
    let all_unnamed = names.iter().enumerate().all(unnamed);
    Ok(if all_unnamed { None } else { Some(names) })
}

/// The link function of the objective. A model without an objective (the user had one of his own)
/// answers its sums.
fn link(header: &Block<'_>, classes: usize) -> Result<Link, ReadError> {
    let Some(text) = header.find("objective") else { return Ok(Link::Identity) };
    let mut words = text.split_ascii_whitespace();
    let name = words.next().unwrap_or("custom");
    let settings: Vec<&str> = words.collect();
    let setting = |name: &str| settings.iter().find_map(|word| word.strip_prefix(name));
    let scale = match setting("sigmoid:") {
        Some(scale) => header.one("objective", scale)?,
        None => 1.0,
    };
    if let Some(count) = setting("num_class:")
        && header.one::<usize>("objective", count)? != classes
    {
        return Err(header.invalid("objective", format!("`{text}` with {classes} trees a round")));
    }
    Ok(match name {
        "binary" | "multiclassova" => Link::Sigmoid { scale },
        "cross_entropy" => Link::Sigmoid { scale: 1.0 },
        "multiclass" => Link::Softmax,
        "poisson" | "gamma" | "tweedie" => Link::Exp,
        "cross_entropy_lambda" => Link::Softplus,
        "regression" | "regression_l1" | "quantile" | "mape" | "fair" | "huber"
            if settings.contains(&"sqrt") =>
        {
            Link::SignedSquare
        }
        "regression" | "regression_l1" | "quantile" | "mape" | "fair" | "huber" | "lambdarank"
        | "rank_xendcg" | "custom" | "none" => Link::Identity,
        _ => return Err(header.invalid("objective", format!("unknown objective `{name}`"))),
    })
}

/// The arrays of a tree, one entry a split.
struct Splits<'a> {
    block: &'a Block<'a>,
    features: usize,
    feature: Vec<usize>,
    threshold: Vec<f64>,
    decision: Vec<i64>,
    left: Vec<i64>,
    right: Vec<i64>,
    leaf_value: Vec<f64>,
    categories: Vec<Arc<CategorySet>>,
}

fn tree(block: &Block<'_>, features: usize, group: usize) -> Result<Tree, ReadError> {
    let leaves: usize = block.parse("num_leaves")?;
    if block.find("is_linear").is_some_and(|flag| flag.trim() != "0") {
        return Err(ReadError::Unsupported("trees with linear leaves (`linear_tree`)".to_owned()));
    }
    if leaves == 0 {
        return Err(block.invalid("num_leaves", "a tree has a leaf at least"));
    }
    let leaf_value: Vec<f64> = block.array("leaf_value", leaves)?;
    if let Some(value) = leaf_value.iter().find(|value| !value.is_finite()) {
        return Err(block.invalid("leaf_value", format!("a leaf of {value}")));
    }
    if leaves == 1 {
        return Ok(Tree { group, nodes: vec![Node::Leaf { value: leaf_value[0], id: 0 }] });
    }
    let splits = Splits {
        block,
        features,
        feature: block.array("split_feature", leaves - 1)?,
        threshold: block.array("threshold", leaves - 1)?,
        decision: block.array("decision_type", leaves - 1)?,
        left: block.array("left_child", leaves - 1)?,
        right: block.array("right_child", leaves - 1)?,
        leaf_value,
        categories: categories(block)?,
    };
    // Nodes of the layout: first the splits, then the leaves.
    let place = |child: i64| match usize::try_from(child) {
        Ok(split) if split < leaves - 1 => split,
        Ok(_) => NOWHERE,
        Err(_) => (leaves - 1).saturating_add((!child) as usize), // -1 is leaf 0
    };
    lay_out(
        splits.feature.len() + splits.leaf_value.len(),
        group,
        |node| {
            (node < leaves - 1).then(|| Children {
                left: place(splits.left[node]),
                right: place(splits.right[node]),
            })
        },
        |node, children| splits.node(node, children),
        |node, message| splits.wrong(node, message),
    )
}

impl Splits<'_> {
    fn wrong(&self, node: usize, message: impl Into<String>) -> ReadError {
        self.block.invalid(&format!("node {node}"), message)
    }

    fn node(&self, node: usize, children: Children) -> Result<Node, ReadError> {
        if node >= self.feature.len() {
            let leaf = node - self.feature.len();
            return Ok(Node::Leaf { value: self.leaf_value[leaf], id: leaf as i32 });
        }
        let feature = self.feature[node];
        if feature >= self.features {
            return Err(self.wrong(node, format!("feature {feature} of {}", self.features)));
        }
        let (decision, threshold) = (self.decision[node], self.threshold[node]);
        let test = if decision & CATEGORICAL != 0 {
            let set = (threshold >= 0.0).then(|| self.categories.get(threshold as usize));
            let set = set.flatten().ok_or_else(|| {
                let sets = self.categories.len();
                self.wrong(node, format!("categories {threshold} of {sets}"))
            })?;
            Test::Category { set: Arc::clone(set), members_left: true, missing_left: false }
        } else {
            if threshold.is_nan() {
                return Err(self.wrong(node, "the threshold is not a number"));
            }
            let missing = match decision >> 2 & 3 {
                0 => Missing::Never,
                1 => Missing::Zero,
                2 => Missing::Nan,
                _ => return Err(self.wrong(node, format!("decision type {decision}"))),
            };
            Test::Threshold { threshold, missing, missing_left: decision & DEFAULT_LEFT != 0 }
        };
        let (left, right) = (children.left as u32, children.right as u32);
        Ok(Node::Split { feature: feature as u32, test, left, right })
    }
}

/// The sets of categories: words of bits, set after set, with the boundaries between them.
fn categories(block: &Block<'_>) -> Result<Vec<Arc<CategorySet>>, ReadError> {
    let count: usize = match block.find("num_cat") {
        Some(_) => block.parse("num_cat")?,
        None => 0,
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    let boundaries: Vec<usize> = block.list("cat_boundaries")?;
    let words: Vec<u32> = block.list("cat_threshold")?;
    if boundaries.len().checked_sub(1) != Some(count) {
        let message = format!("{} entries for {count} sets", boundaries.len());
        return Err(block.invalid("cat_boundaries", message));
    }
    boundaries
        .windows(2)
        .map(|ends| {
            let bits = words.get(ends[0]..ends[1]).ok_or_else(|| {
                let message = format!("{} to {} of {} words", ends[0], ends[1], words.len());
                block.invalid("cat_boundaries", message)
            })?;
            Ok(Arc::new(CategorySet::Bits(bits.to_vec())))
        })
        .collect()
}

//! An ensemble of trees, whichever library wrote it: what its nodes ask, what its leaves hold, and
//! how the leaves' values become an answer.

use std::sync::Arc;

use crate::link::Link;

/// The library whose arithmetic the answers follow. ONNX models of `float` are brought to XGBoost's,
/// those of `double` to LightGBM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `float32` thresholds and sums; a row goes left if its value is less than the threshold.
    XgBoost,
    /// `float64` thresholds and sums; a row goes left if its value is at most the threshold.
    LightGbm,
}

/// A checked ensemble of trees.
#[derive(Debug, Clone)]
pub struct Ensemble {
    pub(crate) dialect: Dialect,
    pub(crate) features: usize,
    pub(crate) names: Option<Vec<String>>,
    /// What every row's sum starts with, one value a group.
    pub(crate) base: Vec<f64>,
    pub(crate) trees: Vec<Tree>,
    /// What the sums are divided by for an answer; not 1 in LightGBM's random forests. Raw scores
    /// are left as they are.
    pub(crate) divisor: f64,
    pub(crate) link: Link,
}

/// One tree. Its nodes stand in an order in which children follow their parents; the first is the
/// root.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// To which of the sums the leaf's value is added.
    pub(crate) group: usize,
    pub(crate) nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Leaf {
        value: f64,
        /// The leaf's number in the words of the library that wrote the model.
        id: i32,
    },
    Split {
        feature: u32,
        test: Test,
        left: u32,
        right: u32,
    },
}

/// What a node asks of a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// Left if the value is below `threshold` (or equal to it, in LightGBM).
    Threshold { threshold: f64, missing: Missing, missing_left: bool },
    /// Whether the value is one of the categories.
    Category { set: Arc<CategorySet>, members_left: bool, missing_left: bool },
}

/// Which values count as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Missing {
    /// None: `NaN` is zero.
    Never,
    /// `NaN` and what is within `ZERO_THRESHOLD` of zero.
    Zero,
    /// `NaN`.
    Nan,
}

/// LightGBM takes a value this near to zero for zero.
pub(crate) const ZERO_THRESHOLD: f64 = 1e-35_f32 as f64;

/// A set of categories.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum CategorySet {
    /// Whole numbers, one bit each.
    Bits(Vec<u32>),
    /// Whole numbers far apart, in order.
    Sparse(Vec<u32>),
    /// Any numbers but `NaN`, as [`number_key`] writes them, in order.
    Numbers(Vec<u64>),
}

/// The bits of `number`, the same for both zeros.
pub(crate) fn number_key(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

impl CategorySet {
    /// Whether the category that `value` means is in the set.
    pub(crate) fn contains(&self, value: f64, dialect: Dialect) -> bool {
        match self {
            Self::Bits(bits) => dialect.category(value).is_some_and(|category| {
                let word = bits.get(category as usize / 32);
                word.is_some_and(|word| word >> (category % 32) & 1 == 1)
            }),
            Self::Sparse(numbers) => dialect
                .category(value)
                .is_some_and(|category| numbers.binary_search(&category).is_ok()),
            Self::Numbers(numbers) => numbers.binary_search(&number_key(value)).is_ok(),
        }
    }
}

impl Dialect {
    /// Whether `value`, which is not missing, goes left at a node with `threshold`.
    pub(crate) fn is_left(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::XgBoost => value < threshold,
            Self::LightGbm => value <= threshold,
        }
    }

    /// The category that `value` means, if any. XGBoost takes no negative number for one; LightGBM
    /// cuts the fraction off first.
    pub(crate) fn category(self, value: f64) -> Option<u32> {
        let lowest = match self {
            Self::XgBoost => value >= 0.0,
            Self::LightGbm => value > -1.0,
        };
        (lowest && value < f64::from(i32::MAX)).then_some(value as u32)
    }
}

impl Test {
    /// How many numbers are listed as categories.
    pub(crate) fn categories(&self) -> usize {
        match self {
            Self::Category { set, .. } => match &**set {
                CategorySet::Bits(numbers) | CategorySet::Sparse(numbers) => numbers.len(),
                CategorySet::Numbers(numbers) => numbers.len(),
            },
            Self::Threshold { .. } => 0,
        }
    }

    /// Whether a row with `value` goes left.
    pub(crate) fn is_left(&self, value: f64, dialect: Dialect) -> bool {
        match self {
            Self::Threshold { threshold, missing, missing_left } => {
                let is_missing = match missing {
                    Missing::Never => false,
                    Missing::Nan => value.is_nan(),
                    Missing::Zero => value.is_nan() || value.abs() <= ZERO_THRESHOLD,
                };
                if is_missing {
                    return *missing_left;
                }
                dialect.is_left(if value.is_nan() { 0.0 } else { value }, *threshold)
            }
            Self::Category { set, members_left, missing_left } => {
                if value.is_nan() {
                    return *missing_left;
                }
                set.contains(value, dialect) == *members_left
            }
        }
    }
}

impl Ensemble {
    /// The library whose arithmetic the answers follow.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How many features a row has.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// The features' names, if the model records them.
    #[must_use]
    pub fn feature_names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    /// How many trees there are.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// How many sums a row has: one, or one a class or target.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.base.len()
    }

    /// How many values the answer to a row has.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.link.outputs(self.groups())
    }
}

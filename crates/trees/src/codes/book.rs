//! Which column of codes answers which question, and the coding of a block of rows.

use std::{collections::BTreeMap, sync::Arc};

use super::{BLOCK, STRIDE, THRESHOLDS, ZERO_COLUMN, ruler::Ruler};
use crate::{
    Column, Dialect,
    ensemble::{CategorySet, Missing, Node, Test, Tree, ZERO_THRESHOLD},
};

/// What a node asks of the codes: a row goes left if its code in `column` is below `limit`, which is
/// at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) column: u32,
    pub(crate) limit: u8,
}

impl Question {
    /// The question that every row answers with "left".
    pub(crate) const NONE: Self = Self { column: ZERO_COLUMN as u32, limit: 1 };
}

/// The columns of codes that an ensemble's nodes ask.
#[derive(Debug)]
pub(crate) struct CodeBook {
    dialect: Dialect,
    scales: Vec<Scale>,
    scale_of: BTreeMap<(u32, Missing), usize>,
    choices: Vec<Choice>,
    choice_of: BTreeMap<(u32, CategoryQuestion), usize>,
    columns: usize,
}

/// The thresholds of one feature.
#[derive(Debug)]
struct Scale {
    feature: usize,
    missing: Missing,
    sorted: Vec<f64>,
    single: Ruler<f32>,
    double: Ruler<f64>,
    /// Column by column, the first of its thresholds and the codes that missing values get.
    columns: Vec<ScaleColumn>,
}

#[derive(Debug, Clone, Copy)]
struct ScaleColumn {
    column: usize,
    first: usize,
    missing_left: bool,
}

/// A column of codes for a set of categories: 0 left, 255 right.
#[derive(Debug)]
struct Choice {
    feature: usize,
    question: CategoryQuestion,
    column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct CategoryQuestion {
    set: Arc<CategorySet>,
    members_left: bool,
    missing_left: bool,
}

impl CodeBook {
    /// The columns that the nodes of `trees` ask.
    pub(crate) fn new(dialect: Dialect, trees: &[Tree]) -> Self {
        let mut thresholds: BTreeMap<(u32, Missing), Vec<f64>> = BTreeMap::new();
        for (feature, test) in tests(trees) {
            if let Test::Threshold { threshold, missing, .. } = test {
                thresholds.entry((feature, *missing)).or_default().push(*threshold);
            }
        }
        let mut scale_of = BTreeMap::new();
        let mut scales = Vec::new();
        for ((feature, missing), mut sorted) in thresholds {
            sorted.sort_by(f64::total_cmp);
            sorted.dedup();
            scale_of.insert((feature, missing), scales.len());
            let single: Vec<f32> = sorted.iter().map(|threshold| floor_f32(*threshold)).collect();
            scales.push(Scale {
                feature: feature as usize,
                missing,
                single: Ruler::new(&single),
                double: Ruler::new(&sorted),
                sorted,
                columns: Vec::new(),
            });
        }
        let mut book = Self {
            dialect,
            scales,
            scale_of,
            choices: Vec::new(),
            choice_of: BTreeMap::new(),
            columns: ZERO_COLUMN + 1,
        };
        for (feature, test) in tests(trees) {
            book.add(feature, test);
        }
        book
    }

    /// Makes the column that answers `test`, unless it is there.
    fn add(&mut self, feature: u32, test: &Test) {
        let column = self.columns;
        match test {
            Test::Threshold { threshold, missing, missing_left } => {
                let scale = &mut self.scales[self.scale_of[&(feature, *missing)]];
                let first = scale.position(*threshold) / THRESHOLDS * THRESHOLDS;
                if scale.find(first, *missing_left).is_some() {
                    return;
                }
                scale.columns.push(ScaleColumn { column, first, missing_left: *missing_left });
            }
            Test::Category { set, members_left, missing_left } => {
                let question = CategoryQuestion {
                    set: Arc::clone(set),
                    members_left: *members_left,
                    missing_left: *missing_left,
                };
                let key = (feature, question.clone());
                if self.choice_of.contains_key(&key) {
                    return;
                }
                self.choice_of.insert(key, column);
                self.choices.push(Choice { feature: feature as usize, question, column });
            }
        }
        self.columns += 1;
    }

    /// The question of codes that is the same as `test`, which is one of those that the book was
    /// made with.
    pub(crate) fn question(&self, feature: u32, test: &Test) -> Question {
        match test {
            Test::Threshold { threshold, missing, missing_left } => {
                let scale = &self.scales[self.scale_of[&(feature, *missing)]];
                let position = scale.position(*threshold);
                let column = scale
                    .find(position / THRESHOLDS * THRESHOLDS, *missing_left)
                    .expect("every test has its column");
                Question { column: column as u32, limit: (position % THRESHOLDS) as u8 + 1 }
            }
            Test::Category { set, members_left, missing_left } => {
                let question = CategoryQuestion {
                    set: Arc::clone(set),
                    members_left: *members_left,
                    missing_left: *missing_left,
                };
                Question { column: self.choice_of[&(feature, question)] as u32, limit: 1 }
            }
        }
    }

    /// The bytes that a block of codes takes.
    pub(crate) fn size(&self) -> usize {
        self.columns * STRIDE
    }

    /// Codes the rows `from..from + rows`, [`BLOCK`] at most: the code of row `r` in column `c`
    /// comes to be `codes[c * STRIDE + r]`, less 128, so that signed comparisons order it.
    pub(crate) fn encode(
        &self,
        columns: &[Column<'_>],
        from: usize,
        rows: usize,
        codes: &mut [i8],
        ranks: &mut [u32; BLOCK],
    ) {
        codes[ZERO_COLUMN * STRIDE..][..rows].fill(i8::MIN);
        for scale in &self.scales {
            let column = columns[scale.feature].rows(from, rows);
            scale.rank(self.dialect, column, &mut ranks[..rows]);
            for target in &scale.columns {
                let codes = &mut codes[target.column * STRIDE..][..rows];
                scale.write(target, column, &ranks[..rows], codes);
            }
        }
        for choice in &self.choices {
            let column = columns[choice.feature].rows(from, rows);
            let test = Test::Category {
                set: Arc::clone(&choice.question.set),
                members_left: choice.question.members_left,
                missing_left: choice.question.missing_left,
            };
            for (row, code) in codes[choice.column * STRIDE..][..rows].iter_mut().enumerate() {
                let left = test.is_left(column.value(row), self.dialect);
                *code = if left { i8::MIN } else { i8::MAX };
            }
        }
    }
}

impl Scale {
    /// The place of `threshold` among the thresholds.
    fn position(&self, threshold: f64) -> usize {
        self.sorted.partition_point(|other| *other < threshold)
    }

    fn find(&self, first: usize, missing_left: bool) -> Option<usize> {
        let same =
            |other: &&ScaleColumn| other.first == first && other.missing_left == missing_left;
        self.columns.iter().find(same).map(|column| column.column)
    }

    fn rank(&self, dialect: Dialect, column: Column<'_>, ranks: &mut [u32]) {
        let mut changed32 = [0_f32; BLOCK];
        let mut changed64 = [0_f64; BLOCK];
        match (dialect, column) {
            (Dialect::XgBoost, Column::F32(values)) => self.single.rank::<true>(values, ranks),
            // XGBoost reads every number as `float32`.
            (Dialect::XgBoost, Column::F64(values)) => {
                let changed = change(values, &mut changed32, |value| value as f32);
                self.single.rank::<true>(changed, ranks);
            }
            (Dialect::LightGbm, Column::F32(values)) if self.missing == Missing::Never => {
                let zeroed = |value: f32| if value.is_nan() { 0.0 } else { value };
                self.single.rank::<false>(change(values, &mut changed32, zeroed), ranks);
            }
            (Dialect::LightGbm, Column::F64(values)) if self.missing == Missing::Never => {
                let zeroed = |value: f64| if value.is_nan() { 0.0 } else { value };
                self.double.rank::<false>(change(values, &mut changed64, zeroed), ranks);
            }
            (Dialect::LightGbm, Column::F32(values)) => self.single.rank::<false>(values, ranks),
            (Dialect::LightGbm, Column::F64(values)) => self.double.rank::<false>(values, ranks),
        }
    }

    fn write(&self, target: &ScaleColumn, column: Column<'_>, ranks: &[u32], codes: &mut [i8]) {
        if target.first == 0 {
            for (code, rank) in codes.iter_mut().zip(ranks) {
                *code = biased((*rank).min(THRESHOLDS as u32));
            }
        } else {
            for (code, rank) in codes.iter_mut().zip(ranks) {
                *code = biased(rank.saturating_sub(target.first as u32).min(THRESHOLDS as u32));
            }
        }
        let missing = if target.missing_left { i8::MIN } else { i8::MAX };
        match (column, self.missing) {
            (_, Missing::Never) => {}
            (Column::F32(values), Missing::Nan) => {
                for (code, value) in codes.iter_mut().zip(values) {
                    *code = if value.is_nan() { missing } else { *code };
                }
            }
            (Column::F64(values), Missing::Nan) => {
                for (code, value) in codes.iter_mut().zip(values) {
                    *code = if value.is_nan() { missing } else { *code };
                }
            }
            (_, Missing::Zero) => {
                for (row, code) in codes.iter_mut().enumerate() {
                    let value = column.value(row);
                    if value.is_nan() || value.abs() <= ZERO_THRESHOLD {
                        *code = missing;
                    }
                }
            }
        }
    }
}

/// `values`, each changed, in `room`.
fn change<'a, T: Copy, U>(values: &[T], room: &'a mut [U], change: impl Fn(T) -> U) -> &'a [U] {
    for (changed, value) in room.iter_mut().zip(values) {
        *changed = change(*value);
    }
    &room[..values.len()]
}

fn biased(rank: u32) -> i8 {
    (rank as u8 ^ 0x80) as i8
}

fn tests(trees: &[Tree]) -> impl Iterator<Item = (u32, &Test)> {
    trees.iter().flat_map(|tree| &tree.nodes).filter_map(|node| match node {
        Node::Split { feature, test, .. } => Some((*feature, test)),
        Node::Leaf { .. } => None,
    })
}

/// The largest `float32` that is at most `value`: a `float32` is at most one of them exactly if it
/// is at most the other.
fn floor_f32(value: f64) -> f32 {
    let nearest = value as f32;
    if f64::from(nearest) > value { nearest.next_down() } else { nearest }
}

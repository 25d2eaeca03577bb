//! From the sums of an ONNX operator to its scores and labels, in the arithmetic of ONNX Runtime.
//!
//! Nothing says what a classifier of two classes means by weights for one of them; what ONNX Runtime
//! makes of it (`tree_ensemble_aggregator.h`, `ml_common.h`; version 1.31) is what exporters count on, so
//! that is what stands here.

use super::{
    attributes::{Classes, Labels, Operator},
    forest::Votes,
};
use crate::read::ReadError;

/// How leaves become a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
}

/// What is made of the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
    /// As [`Transform::Softmax`], but zeros stay zeros.
    SoftmaxZero,
    Probit,
}

impl Aggregate {
    pub(super) fn named(name: &str) -> Result<Self, ReadError> {
        match name {
            "SUM" => Ok(Self::Sum),
            "AVERAGE" => Ok(Self::Average),
            other => Err(ReadError::Unsupported(format!("tree ensembles that answer the {other}"))),
        }
    }

    /// `aggregate_function` of ai.onnx.ml 5.
    pub(super) fn numbered(number: i64) -> Result<Self, ReadError> {
        Self::named(match number {
            0 => "AVERAGE",
            1 => "SUM",
            2 => "MIN",
            3 => "MAX",
            _ => "aggregate of an unknown number",
        })
    }
}

impl Transform {
    pub(super) fn named(name: &str) -> Result<Self, ReadError> {
        match name {
            "NONE" => Ok(Self::None),
            "LOGISTIC" => Ok(Self::Logistic),
            "SOFTMAX" => Ok(Self::Softmax),
            "SOFTMAX_ZERO" => Ok(Self::SoftmaxZero),
            "PROBIT" => Ok(Self::Probit),
            other => Err(ReadError::Unsupported(format!("sums transformed by `{other}`"))),
        }
    }

    /// `post_transform` of ai.onnx.ml 5. The standard and ONNX Runtime number two of them differently,
    /// so these are left to ONNX Runtime.
    pub(super) fn numbered(number: i64) -> Result<Self, ReadError> {
        match number {
            0 => Ok(Self::None),
            3 => Ok(Self::SoftmaxZero),
            4 => Ok(Self::Probit),
            _ => Err(ReadError::Unsupported(format!("sums transformed by number {number}"))),
        }
    }
}

/// Turns the sums of a row into scores and a label.
#[derive(Debug)]
pub(super) struct Finish {
    targets: usize,
    trees: usize,
    base: Vec<f64>,
    aggregate: Aggregate,
    transform: Transform,
    /// Whether trees vote for a target at all.
    voted: Vec<bool>,
    classes: Option<Classes>,
}

/// A sum, as ONNX Runtime keeps it: without a vote it reads as 0.
#[derive(Debug, Clone, Copy)]
struct Sum {
    value: f64,
    voted: bool,
}

impl Sum {
    fn read(self) -> f32 {
        if self.voted { self.value as f32 } else { 0.0 }
    }
}

impl Finish {
    /// What `operator` makes of its sums; `votes` says how trees vote for each target.
    pub(super) fn new(operator: Operator, votes: &[Votes]) -> Result<Self, ReadError> {
        let Operator { forest, targets, base, aggregate, transform, classes } = operator;
        let one_will_do = classes.is_some() && targets == 2 && base.len() == 1;
        if !base.is_empty() && base.len() != targets && !one_will_do {
            let message = format!("{} base values for {targets} targets", base.len());
            return Err(ReadError::Unsupported(message));
        }
        let depends = votes.contains(&Votes::Sometimes);
        if depends && (classes.is_some() || base.iter().any(|value| *value != 0.0)) {
            let message = "leaves that vote for some targets only".to_owned();
            return Err(ReadError::Unsupported(message));
        }
        let voted: Vec<bool> = votes.iter().map(|votes| *votes != Votes::Never).collect();
        if classes.is_some() && !voted.contains(&true) {
            return Err(ReadError::Unsupported("classifiers without a weight".to_owned()));
        }
        let one_of_two = classes.is_some() && targets == 2 && !voted[1] && base.len() < 2;
        if one_of_two && transform == Transform::Probit {
            return Err(ReadError::Unsupported("the probit of one class of two".to_owned()));
        }
        if one_of_two && classes.as_ref().is_some_and(|classes| !classes.binary) {
            let message = "weights for two classes of which leaves have one".to_owned();
            return Err(ReadError::Unsupported(message));
        }
        let trees = forest.roots.len();
        Ok(Self { targets, trees, base, aggregate, transform, voted, classes })
    }

    /// The names of the classes, if it classifies.
    pub(super) fn labels(&self) -> Option<&Labels> {
        self.classes.as_ref().map(|classes| &classes.labels)
    }

    /// How many scores a row has.
    pub(super) fn width(&self) -> usize {
        self.targets
    }

    /// Writes the scores that follow from `sums` to `scores` and returns the place of the label among
    /// the classes; 0 where there are none. `round` brings a sum to the type that sums have.
    pub(super) fn row(
        &self,
        sums: &[f64],
        round: impl Fn(f64) -> f64 + Copy,
        scores: &mut [f32],
    ) -> usize {
        if let Some(classes) = &self.classes {
            return if self.targets == 2 {
                self.two_classes(classes, sums, round, scores)
            } else {
                self.classes(sums, round, scores)
            };
        }
        self.targets(sums, round, scores);
        0
    }

    fn targets(&self, sums: &[f64], round: impl Fn(f64) -> f64, scores: &mut [f32]) {
        let average = |sum: f64| match self.aggregate {
            Aggregate::Sum => sum,
            Aggregate::Average => round(sum / round(self.trees as f64)),
        };
        if self.targets == 1 {
            let base = if self.base.len() == 1 { self.base[0] } else { 0.0 };
            let score = round(average(sums[0]) + base) as f32;
            let is_probit = self.transform == Transform::Probit;
            scores[0] = if is_probit { probit(score) } else { score };
            return;
        }
        for (target, score) in scores.iter_mut().enumerate() {
            let mut value = average(sums[target]);
            if self.base.len() == self.targets {
                value = round(value + self.base[target]);
            }
            *score = Sum { value, voted: self.voted[target] }.read();
        }
        self.transform(scores);
    }

    fn classes(&self, sums: &[f64], round: impl Fn(f64) -> f64, scores: &mut [f32]) -> usize {
        let mut best: Option<(usize, f64)> = None;
        for (class, score) in scores.iter_mut().enumerate() {
            let mut sum = Sum { value: sums[class], voted: self.voted[class] };
            if let Some(base) = self.base.get(class) {
                sum.value = if sum.voted { round(sum.value + base) } else { *base };
                sum.voted = true;
            }
            if sum.voted && best.is_none_or(|(_, largest)| sum.value > largest) {
                best = Some((class, sum.value));
            }
            *score = sum.read();
        }
        self.transform(scores);
        best.map_or(0, |(class, _)| class)
    }

    fn two_classes(
        &self,
        classes: &Classes,
        sums: &[f64],
        round: impl Fn(f64) -> f64,
        scores: &mut [f32],
    ) -> usize {
        let sum = |class: usize| Sum { value: sums[class], voted: self.voted[class] };
        let (mut first, mut second) = (sum(0), sum(1));
        match self.base[..] {
            [_, base] if second.voted => {
                second.value = round(base + first.value);
                first.value = -second.value;
            }
            [base0, base1] => {
                second.value = round(second.value + base1);
                first.value = round(first.value + base0);
            }
            [base] => first.value = round(first.value + base),
            _ => {}
        }
        let single = !second.voted && self.base.len() < 2;
        let decisive = match (second.voted, first.voted) {
            (true, _) => second.value,
            (false, true) => first.value,
            (false, false) => 0.0,
        };
        let bound = if classes.binary && classes.all_positive { 0.5 } else { 0.0 };
        let label = usize::from(decisive > bound);
        if !single {
            (scores[0], scores[1]) = (first.read(), second.read());
            self.transform(scores);
            return label;
        }
        let value = first.value;
        (scores[0], scores[1]) = if self.transform == Transform::Logistic {
            (logistic(-value as f32), logistic(value as f32))
        } else if classes.all_positive {
            // It is a probability; the other class has the rest.
            (round(1.0 - value) as f32, value as f32)
        } else {
            (-value as f32, value as f32)
        };
        label
    }

    fn transform(&self, scores: &mut [f32]) {
        match self.transform {
            Transform::None => {}
            Transform::Logistic => each(scores, logistic),
            Transform::Probit => each(scores, probit),
            Transform::Softmax => softmax(scores),
            Transform::SoftmaxZero => softmax_zero(scores),
        }
    }
}

fn each(scores: &mut [f32], change: impl Fn(f32) -> f32) {
    for score in scores {
        *score = change(*score);
    }
}

fn logistic(value: f32) -> f32 {
    let positive = 1.0 / (1.0 + (-value.abs()).exp());
    if value < 0.0 { 1.0 - positive } else { positive }
}

/// The inverse of the normal distribution, by Winitzki's approximation of `erf`.
fn probit(value: f32) -> f32 {
    const A: f32 = 0.147;
    let x = 2.0 * value - 1.0;
    let sign = if x < 0.0 { -1.0 } else { 1.0 };
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let half = 2.0 / (std::f32::consts::PI * A) + 0.5 * log;
    let root = (half * half - 1.0 / A * log).sqrt() - half;
    std::f32::consts::SQRT_2 * (sign * root.sqrt())
}

fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::MIN, f32::max);
    each(scores, |score| (score - largest).exp());
    let total: f32 = scores.iter().sum();
    each(scores, |score| score / total);
}

fn softmax_zero(scores: &mut [f32]) {
    const NEAR_ZERO: f32 = 1e-7;
    let largest = scores.iter().copied().fold(f32::MIN, f32::max);
    let of_zero = (-largest).exp();
    let mut total = 0.0;
    for score in &mut *scores {
        if score.abs() > NEAR_ZERO {
            *score = (*score - largest).exp();
            total += *score;
        } else {
            *score *= of_zero;
        }
    }
    each(scores, |score| score / total);
}

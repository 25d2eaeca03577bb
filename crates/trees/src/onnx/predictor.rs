//! The predictor of an ONNX model: columns of its inputs in, labels and scores out.

use super::{
    Labels,
    features::PreparedColumn,
    finish::Finish,
    graph::{ScoreStep, Scores},
};
use crate::{Column, Dialect, Ensemble, Predictor, Score};

/// Rows that are prepared and scored at once.
const ROWS: usize = 4096;

/// Fewer rows are taken at once if there would be more sums than this.
const MOST_SUMS: usize = 1 << 20;

/// Scores rows with an ONNX model of trees. Made once, called from any number of threads.
#[derive(Debug)]
pub struct OnnxPredictor {
    predictor: Predictor,
    columns: Vec<PreparedColumn>,
    finish: Finish,
    outputs: Vec<Option<Scores>>,
}

/// A column of an input.
#[derive(Debug, Clone, Copy)]
pub enum OnnxColumn<'a> {
    /// `float`s; `NaN` is a missing value.
    F32(&'a [f32]),
    /// `double`s; `NaN` is a missing value.
    F64(&'a [f64]),
    /// Whole numbers.
    I64(&'a [i64]),
}

/// The answers to some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxScores {
    /// Row by row, the place of the label among [`OnnxPredictor::labels`]; empty if the model does not
    /// classify.
    pub labels: Vec<u32>,
    /// Output by output, the scores row by row; empty for outputs that hold labels.
    pub scores: Vec<Vec<f32>>,
}

impl OnnxPredictor {
    pub(super) fn new(
        ensemble: Ensemble,
        columns: Vec<PreparedColumn>,
        finish: Finish,
        outputs: Vec<(String, Option<Scores>)>,
    ) -> Self {
        let outputs = outputs.into_iter().map(|(_, scores)| scores).collect();
        Self { predictor: Predictor::new(ensemble), columns, finish, outputs }
    }

    /// The names of the classes, if the model classifies.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        self.finish.labels()
    }

    /// The trees.
    #[must_use]
    pub fn ensemble(&self) -> &Ensemble {
        self.predictor.ensemble()
    }

    /// Scores `rows` rows; `columns` are those of all inputs, in order.
    ///
    /// # Panics
    /// If there are not as many columns as the inputs have, or not as many values in each as rows.
    #[must_use]
    pub fn score(&self, columns: &[OnnxColumn<'_>], rows: usize) -> OnnxScores {
        let width = |scores: &Option<Scores>| scores.as_ref().map_or(0, |scores| scores.count);
        let room = |scores| Vec::with_capacity(rows * width(scores));
        let scores = self.outputs.iter().map(room).collect();
        let mut answers = OnnxScores { labels: Vec::new(), scores };
        let at_once = (MOST_SUMS / self.ensemble().groups()).clamp(1, ROWS);
        for from in (0..rows).step_by(at_once) {
            let count = at_once.min(rows - from);
            match self.ensemble().dialect() {
                Dialect::XgBoost => {
                    let prepared = self.columns.iter().map(|column| {
                        Prepared::single(column, columns[column.column], from, count)
                    });
                    let prepared: Vec<_> = prepared.collect();
                    self.score_block::<f32>(&prepared, count, &mut answers);
                }
                Dialect::LightGbm => {
                    let prepared = self
                        .columns
                        .iter()
                        .map(|column| Prepared::double(columns[column.column], from, count));
                    let prepared: Vec<_> = prepared.collect();
                    self.score_block::<f64>(&prepared, count, &mut answers);
                }
            }
        }
        answers
    }

    fn score_block<T: Score + Default + Into<f64>>(
        &self,
        prepared: &[Prepared<'_>],
        rows: usize,
        answers: &mut OnnxScores,
    ) {
        let columns: Vec<Column<'_>> = prepared.iter().map(Prepared::column).collect();
        let groups = self.ensemble().groups();
        let mut sums = vec![T::default(); rows * groups];
        self.predictor.predict(&columns, true, &mut sums);
        let round = |value: f64| T::from_f64(value).into();
        let mut row_sums = vec![0.0_f64; groups];
        let mut row_scores = vec![0.0_f32; self.finish.width()];
        for sums in sums.chunks(groups) {
            for (row_sum, sum) in row_sums.iter_mut().zip(sums) {
                *row_sum = (*sum).into();
            }
            let label = self.finish.row(&row_sums, round, &mut row_scores);
            if self.labels().is_some() {
                answers.labels.push(label as u32);
            }
            for (scores, out) in self.outputs.iter().zip(&mut answers.scores) {
                if let Some(scores) = scores {
                    let chosen = &row_scores[scores.from..scores.from + scores.count];
                    out.extend(chosen.iter().map(|score| scores.stepped(*score)));
                }
            }
        }
    }
}

impl Scores {
    fn stepped(&self, score: f32) -> f32 {
        self.steps.iter().fold(score, |score, step| match step {
            ScoreStep::Add(number) => score + number,
            ScoreStep::Multiply(number) => score * number,
            ScoreStep::Exp => score.exp(),
        })
    }
}

/// Some rows of a column as the trees see them.
enum Prepared<'a> {
    Single(&'a [f32]),
    Double(&'a [f64]),
    Changed(Vec<f32>),
}

impl<'a> Prepared<'a> {
    fn single(
        prepared: &PreparedColumn,
        column: OnnxColumn<'a>,
        from: usize,
        count: usize,
    ) -> Self {
        let rows = from..from + count;
        let mut values = match column {
            OnnxColumn::F32(values) if prepared.steps.is_empty() => {
                return Self::Single(&values[rows]);
            }
            OnnxColumn::F32(values) => values[rows].to_vec(),
            OnnxColumn::F64(values) => values[rows].iter().map(|value| *value as f32).collect(),
            OnnxColumn::I64(values) => values[rows].iter().map(|value| *value as f32).collect(),
        };
        for step in &prepared.steps {
            step.apply(&mut values);
        }
        Self::Changed(values)
    }

    fn double(column: OnnxColumn<'a>, from: usize, count: usize) -> Self {
        match column {
            OnnxColumn::F64(values) => Self::Double(&values[from..from + count]),
            OnnxColumn::F32(_) | OnnxColumn::I64(_) => {
                unreachable!("trees of doubles have inputs of doubles")
            }
        }
    }

    fn column(&self) -> Column<'_> {
        match self {
            Self::Single(values) => Column::F32(values),
            Self::Double(values) => Column::F64(values),
            Self::Changed(values) => Column::F32(values),
        }
    }
}

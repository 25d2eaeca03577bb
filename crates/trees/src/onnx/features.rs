//! What happens to the features before the trees see them: operators that do the same to each value
//! of a column become steps, done to the columns before they are scored, in the same arithmetic.

use super::message::element;
use crate::read::ReadError;

/// Columns, and what is done to them, that a model may have in all.
const MOST_STEPS: usize = 1 << 22;

/// The type of an input's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputType {
    /// `float`.
    Float,
    /// `double`.
    Double,
    /// `int64`.
    Int64,
}

/// A model's input: a tensor of a row for each record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxInput {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub r#type: InputType,
    /// How many values a record has in it, if the model says.
    pub width: Option<usize>,
}

impl InputType {
    /// The type that the model calls `element`.
    pub(super) fn of(element: i64) -> Option<Self> {
        match element {
            element::FLOAT => Some(Self::Float),
            element::DOUBLE => Some(Self::Double),
            element::INT64 => Some(Self::Int64),
            _ => None,
        }
    }
}

/// What is done to a value, in `float`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// `replaced`, which may be `NaN`, becomes `value`.
    Impute {
        replaced: f32,
        value: f32,
    },
    /// `(x - offset) * scale`.
    Scale {
        offset: f32,
        scale: f32,
    },
    Add(f32),
    Subtract(f32),
    Multiply(f32),
    Divide(f32),
}

impl Step {
    /// Does it to all of `values`.
    #[expect(clippy::float_cmp, reason = "the value to replace is meant to the last bit")]
    pub(super) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Impute { replaced, value } if replaced.is_nan() => {
                each(values, |x| if x.is_nan() { value } else { x });
            }
            Self::Impute { replaced, value } => {
                each(values, |x| if x == replaced { value } else { x });
            }
            Self::Scale { offset, scale } => each(values, |x| (x - offset) * scale),
            Self::Add(number) => each(values, |x| x + number),
            Self::Subtract(number) => each(values, |x| x - number),
            Self::Multiply(number) => each(values, |x| x * number),
            Self::Divide(number) => each(values, |x| x / number),
        }
    }
}

fn each(values: &mut [f32], change: impl Fn(f32) -> f32) {
    for value in values {
        *value = change(*value);
    }
}

/// The values of one or more inputs, side by side.
#[derive(Debug, Clone)]
pub(super) struct Features {
    pub(super) parts: Vec<Part>,
}

/// The values of one input.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The input's place among the inputs.
    pub(super) input: usize,
    pub(super) r#type: InputType,
    pub(super) width: Option<usize>,
    /// Each is one step for all columns, or one a column.
    steps: Vec<Vec<Step>>,
    /// The values were made `float` (before all steps).
    narrowed: bool,
}

/// One feature of the trees.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PreparedColumn {
    /// The column's place among those of all inputs.
    pub(super) column: usize,
    pub(super) steps: Vec<Step>,
}

impl Features {
    /// All values of input number `input`.
    pub(super) fn of_input(input: usize, declared: &OnnxInput) -> Self {
        let part = Part {
            input,
            r#type: declared.r#type,
            width: declared.width,
            steps: Vec::new(),
            narrowed: declared.r#type == InputType::Float,
        };
        Self { parts: vec![part] }
    }

    /// How many values there are, if that is known.
    pub(super) fn width(&self) -> Option<usize> {
        self.parts.iter().map(|part| part.width).sum()
    }

    /// Whether the values are doubles; `None` if that differs or they are neither.
    pub(super) fn is_double(&self) -> Option<bool> {
        if self.parts.iter().all(|part| part.narrowed) {
            return Some(false);
        }
        let double = |part: &Part| part.r#type == InputType::Double && !part.narrowed;
        self.parts.iter().all(double).then_some(true)
    }

    /// The same values as `float`.
    pub(super) fn narrowed(mut self) -> Self {
        for part in &mut self.parts {
            part.narrowed = true;
        }
        self
    }

    /// The same values, with `steps` done to them: one for all columns, or one a column.
    pub(super) fn with(mut self, steps: &[Step]) -> Result<Self, ReadError> {
        if self.is_double() != Some(false) {
            return Err(ReadError::Unsupported("operators on doubles before the trees".to_owned()));
        }
        if let [step] = steps {
            for part in &mut self.parts {
                part.steps.push(vec![*step]);
            }
            return Ok(self);
        }
        if let [part] = self.parts.as_mut_slice() {
            part.width.get_or_insert(steps.len());
        }
        if self.width() != Some(steps.len()) {
            let message = format!("{} values for {:?} features", steps.len(), self.width());
            return Err(ReadError::Unsupported(message));
        }
        let mut rest = steps;
        for part in &mut self.parts {
            let (own, after) = rest.split_at(part.width.unwrap_or(0));
            part.steps.push(own.to_vec());
            rest = after;
        }
        Ok(self)
    }

    /// The columns one by one. `widths` says how many each input has.
    pub(super) fn columns(&self, widths: &[usize]) -> Result<Vec<PreparedColumn>, ReadError> {
        let cost = |part: &Part| widths[part.input].saturating_mul(1 + part.steps.len());
        let cost = self.parts.iter().map(cost).fold(0, usize::saturating_add);
        if cost > MOST_STEPS {
            let message = format!("more than {MOST_STEPS} features and steps before the trees");
            return Err(ReadError::Unsupported(message));
        }
        let mut columns = Vec::new();
        for part in &self.parts {
            let before: usize = widths[..part.input].iter().sum();
            for column in 0..widths[part.input] {
                let step = |steps: &Vec<Step>| steps[if steps.len() == 1 { 0 } else { column }];
                let steps = part.steps.iter().map(step).collect();
                columns.push(PreparedColumn { column: before + column, steps });
            }
        }
        Ok(columns)
    }
}

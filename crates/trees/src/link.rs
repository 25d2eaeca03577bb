//! From a row's sums to its answer.

/// The function that turns sums into answers, in the arithmetic of the library that wrote the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Link {
    Identity,
    /// The probability of each sum on its own; the sum is multiplied by `scale` first.
    Sigmoid {
        scale: f64,
    },
    Exp,
    /// 1 where the sum is positive, else 0.
    Hinge,
    /// Probabilities that add up to 1.
    Softmax,
    /// The number of the largest sum.
    Argmax,
    /// The square, with the sum's sign (LightGBM's `reg_sqrt`).
    SignedSquare,
    /// `ln(1 + e^x)` (LightGBM's `cross_entropy_lambda`).
    Softplus,
}

/// XGBoost keeps `e^x` from overflowing by this bound.
const LARGEST_EXPONENT: f32 = 88.7;

impl Link {
    /// How many values a row's answer has.
    pub(crate) fn outputs(self, groups: usize) -> usize {
        if self == Self::Argmax { 1 } else { groups }
    }

    /// Turns the sums of one row into its answer, in place. With [`Link::Argmax`] the answer is the
    /// first value.
    pub(crate) fn apply_f32(self, sums: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Sigmoid { .. } => {
                each(sums, |sum| 1.0 / ((-sum).min(LARGEST_EXPONENT).exp() + 1.0 + 1e-16));
            }
            Self::Exp => each(sums, f32::exp),
            Self::Hinge => each(sums, |sum| if sum > 0.0 { 1.0 } else { 0.0 }),
            Self::Softmax => {
                let largest = sums.iter().copied().fold(f32::MIN, f32::max);
                let mut total = 0.0_f64;
                for sum in &mut *sums {
                    *sum = (*sum - largest).exp();
                    total += f64::from(*sum);
                }
                each(sums, |sum| sum / total as f32);
            }
            Self::Argmax => sums[0] = position_of_largest(sums) as f32,
            Self::SignedSquare => each(sums, |sum| sum * sum.abs()),
            Self::Softplus => each(sums, |sum| sum.exp().ln_1p()),
        }
    }

    /// As [`Link::apply_f32`], for the library that computes with `float64`.
    pub(crate) fn apply_f64(self, sums: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Sigmoid { scale } => each(sums, |sum| 1.0 / (1.0 + (-scale * sum).exp())),
            Self::Exp => each(sums, f64::exp),
            Self::Hinge => each(sums, |sum| if sum > 0.0 { 1.0 } else { 0.0 }),
            Self::Softmax => {
                let largest = sums.iter().copied().fold(f64::MIN, f64::max);
                each(sums, |sum| (sum - largest).exp());
                let total: f64 = sums.iter().sum();
                each(sums, |sum| sum / total);
            }
            Self::Argmax => sums[0] = position_of_largest(sums) as f64,
            Self::SignedSquare => each(sums, |sum| sum * sum.abs()),
            Self::Softplus => each(sums, |sum| sum.exp().ln_1p()),
        }
    }
}

fn each<T: Copy>(values: &mut [T], change: impl Fn(T) -> T) {
    for value in values {
        *value = change(*value);
    }
}

/// The position of the first of the largest values.
fn position_of_largest<T: PartialOrd>(values: &[T]) -> usize {
    let mut largest = 0;
    for (position, value) in values.iter().enumerate() {
        if *value > values[largest] {
            largest = position;
        }
    }
    largest
}

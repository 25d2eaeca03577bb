//! The predictor: what callers hold.

use crate::{
    Column, Ensemble,
    codes::BLOCK,
    kernel::{self, Portable, Scratch},
    plan::{AnyPlan, Plan, Real},
};

#[cfg(target_arch = "x86_64")]
use crate::kernel::Avx2;

/// Scores rows with an ensemble. Made once, called from any number of threads.
#[derive(Debug)]
pub struct Predictor {
    ensemble: Ensemble,
    plan: AnyPlan,
    kernel: AnyKernel,
}

/// Which instructions a predictor uses.
#[derive(Debug, Clone, Copy)]
enum AnyKernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

/// A number that answers are written as.
pub trait Score: Copy + Send + sealed::Answers {
    /// From a `float64`.
    fn from_f64(value: f64) -> Self;
}

impl Score for f32 {
    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

impl Score for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
}

mod sealed {
    use super::{Column, Predictor};

    /// No generic function but one for each type, so that it is compiled in this crate, with this
    /// crate's settings, and not in the caller's.
    pub trait Answers: Sized {
        fn answer(predictor: &Predictor, columns: &[Column<'_>], raw: bool, out: &mut [Self]);
    }

    impl Answers for f32 {
        fn answer(predictor: &Predictor, columns: &[Column<'_>], raw: bool, out: &mut [Self]) {
            predictor.answer(columns, raw, out);
        }
    }

    impl Answers for f64 {
        fn answer(predictor: &Predictor, columns: &[Column<'_>], raw: bool, out: &mut [Self]) {
            predictor.answer(columns, raw, out);
        }
    }
}

impl Predictor {
    /// The predictor of `ensemble` with the fastest instructions that this processor has.
    #[must_use]
    pub fn new(ensemble: Ensemble) -> Self {
        let mut predictor = Self::portable(ensemble);
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::detect() {
            predictor.kernel = AnyKernel::Avx2(avx2);
        }
        predictor
    }

    /// The predictor of `ensemble` with no instructions but those that every processor has.
    #[must_use]
    pub fn portable(ensemble: Ensemble) -> Self {
        Self { plan: AnyPlan::new(&ensemble), ensemble, kernel: AnyKernel::Portable }
    }

    /// What is predicted with.
    #[must_use]
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// Writes the answers to `out`, row by row, [`Ensemble::outputs`] values each; with `raw` the
    /// sums themselves, [`Ensemble::groups`] values each.
    ///
    /// # Panics
    /// If there are not as many columns as features, if they differ in length, or if `out` has not
    /// the length of the answers.
    pub fn predict<T: Score>(&self, columns: &[Column<'_>], raw: bool, out: &mut [T]) {
        T::answer(self, columns, raw, out);
    }

    fn answer<T: Score>(&self, columns: &[Column<'_>], raw: bool, out: &mut [T]) {
        let width = if raw { self.ensemble.groups() } else { self.ensemble.outputs() };
        let rows = self.check(columns, width, out.len());
        match &self.plan {
            AnyPlan::Single(plan) => {
                let finish = |sums: &mut [f32]| {
                    if !raw {
                        self.ensemble.link.apply_f32(sums);
                    }
                };
                self.blocks(plan, columns, rows, out, width, finish, |sum| {
                    T::from_f64(f64::from(sum))
                });
            }
            AnyPlan::Double(plan) => {
                let finish = |sums: &mut [f64]| {
                    if !raw {
                        for sum in &mut *sums {
                            *sum /= self.ensemble.divisor;
                        }
                        self.ensemble.link.apply_f64(sums);
                    }
                };
                self.blocks(plan, columns, rows, out, width, finish, T::from_f64);
            }
        }
    }

    /// Writes the numbers of the leaves that the rows fall into to `out`, row by row, one a tree.
    ///
    /// # Panics
    /// As [`Predictor::predict`].
    pub fn leaves(&self, columns: &[Column<'_>], out: &mut [i32]) {
        let width = self.ensemble.trees();
        let rows = self.check(columns, width, out.len());
        match &self.plan {
            AnyPlan::Single(plan) => self.leaf_blocks(plan, columns, rows, out),
            AnyPlan::Double(plan) => self.leaf_blocks(plan, columns, rows, out),
        }
    }

    /// Makes sure that everything has the right length; how many rows there are.
    fn check(&self, columns: &[Column<'_>], width: usize, out: usize) -> usize {
        assert_eq!(columns.len(), self.ensemble.features, "one column a feature");
        let rows = columns.first().map_or(out / width.max(1), Column::len);
        assert!(columns.iter().all(|column| column.len() == rows), "columns of one length");
        assert_eq!(out, rows * width, "room for every answer");
        rows
    }

    #[expect(clippy::too_many_arguments, reason = "the two arithmetics share it")]
    fn blocks<R: Real, T>(
        &self,
        plan: &Plan<R>,
        columns: &[Column<'_>],
        rows: usize,
        out: &mut [T],
        width: usize,
        finish: impl Fn(&mut [R]),
        score: impl Fn(R) -> T,
    ) {
        let groups = self.ensemble.groups();
        let base: Vec<R> = self.ensemble.base.iter().map(|base| R::from_f64(*base)).collect();
        let mut codes = vec![i8::MIN; plan.book.size()];
        let mut ranks = [0; BLOCK];
        let mut scratch = Scratch::new();
        let mut sums = vec![base[0]; groups * BLOCK];
        let mut row_sums = base.clone();
        for from in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - from);
            plan.book.encode(columns, from, count, &mut codes, &mut ranks);
            for (sums, base) in sums.chunks_mut(BLOCK).zip(&base) {
                sums.fill(*base);
            }
            match self.kernel {
                AnyKernel::Portable => {
                    kernel::add_all(Portable, plan, &codes, count, &mut scratch, &mut sums);
                }
                #[cfg(target_arch = "x86_64")]
                AnyKernel::Avx2(avx2) => {
                    kernel::add_all(avx2, plan, &codes, count, &mut scratch, &mut sums);
                }
            }
            let out = &mut out[from * width..(from + count) * width];
            if groups == 1 {
                for (score_out, sum) in out.iter_mut().zip(&mut sums) {
                    finish(std::slice::from_mut(sum));
                    *score_out = score(*sum);
                }
                continue;
            }
            for (row, out) in out.chunks_mut(width).enumerate() {
                for (group, sum) in row_sums.iter_mut().enumerate() {
                    *sum = sums[group * BLOCK + row];
                }
                finish(&mut row_sums);
                for (score_out, sum) in out.iter_mut().zip(&row_sums) {
                    *score_out = score(*sum);
                }
            }
        }
    }

    fn leaf_blocks<R: Real>(
        &self,
        plan: &Plan<R>,
        columns: &[Column<'_>],
        rows: usize,
        out: &mut [i32],
    ) {
        let width = self.ensemble.trees();
        let mut codes = vec![i8::MIN; plan.book.size()];
        let mut ranks = [0; BLOCK];
        let mut scratch = Scratch::new();
        for from in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - from);
            plan.book.encode(columns, from, count, &mut codes, &mut ranks);
            let out = &mut out[from * width..(from + count) * width];
            match self.kernel {
                AnyKernel::Portable => {
                    kernel::leaf_ids(Portable, plan, &codes, &mut scratch, out);
                }
                #[cfg(target_arch = "x86_64")]
                AnyKernel::Avx2(avx2) => {
                    kernel::leaf_ids(avx2, plan, &codes, &mut scratch, out);
                }
            }
        }
    }
}

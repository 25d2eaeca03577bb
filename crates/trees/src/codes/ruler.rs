//! The sorted thresholds of one feature, and how a value is ranked among them quickly.

/// A number that is compared with thresholds.
pub(super) trait Real: Copy + PartialOrd {
    const INFINITY: Self;
    const ZERO: Self;
    /// The bucket among `buckets` in which `self` lies: monotone in `self`, whatever it is.
    fn bucket(self, lowest: Self, scale: Self, buckets: usize) -> u32;
    /// What to multiply a distance from the lowest with to get a bucket.
    fn scale(lowest: Self, highest: Self, buckets: usize) -> Self;
    fn finite(self) -> bool;
}

macro_rules! real {
    ($real:ty) => {
        impl Real for $real {
            const INFINITY: Self = <$real>::INFINITY;
            const ZERO: Self = 0.0;

            #[inline(always)]
            fn bucket(self, lowest: Self, scale: Self, buckets: usize) -> u32 {
                let last = (buckets - 1) as Self;
                let place = (self - lowest) * scale;
                // `NaN` is not above 0.
                let place = if place > 0.0 { place } else { 0.0 };
                let place = if place < last { place } else { last };
                place as i32 as u32
            }

            fn scale(lowest: Self, highest: Self, buckets: usize) -> Self {
                let scale = buckets as Self / (highest - lowest);
                if scale.is_finite() { scale } else { 0.0 }
            }

            fn finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

real!(f32);
real!(f64);

/// Sorted thresholds. The range that they span is cut into buckets of the same width; a value's
/// bucket tells all but the last few steps of a binary search.
#[derive(Debug)]
pub(super) struct Ruler<T> {
    /// The thresholds in order, then enough infinities for the search to step onto.
    thresholds: Vec<T>,
    /// How many of them are thresholds.
    count: u32,
    /// For each bucket, how many thresholds lie in buckets before it.
    starts: Vec<u32>,
    lowest: T,
    scale: T,
    /// The search within a bucket takes this many steps.
    steps: u32,
}

/// Buckets for each threshold, about.
const BUCKETS_A_THRESHOLD: usize = 8;

impl<T: Real> Ruler<T> {
    /// A ruler with these thresholds, which are sorted.
    pub(super) fn new(sorted: &[T]) -> Self {
        let finite = || sorted.iter().copied().filter(|threshold| threshold.finite());
        let lowest = finite().next().unwrap_or(T::ZERO);
        let highest = finite().next_back().unwrap_or(T::ZERO);
        let buckets = (sorted.len() * BUCKETS_A_THRESHOLD).next_power_of_two().max(1);
        let scale = T::scale(lowest, highest, buckets);
        let mut starts = vec![0_u32; buckets];
        for threshold in sorted {
            starts[threshold.bucket(lowest, scale, buckets) as usize] += 1;
        }
        let fullest = starts.iter().copied().max().unwrap_or(0);
        let mut before = 0;
        for start in &mut starts {
            (*start, before) = (before, before + *start);
        }
        let steps = u32::BITS - fullest.leading_zeros();
        let mut thresholds = sorted.to_vec();
        thresholds.resize(sorted.len() + (1 << steps), T::INFINITY);
        Self { thresholds, count: sorted.len() as u32, starts, lowest, scale, steps }
    }

    /// How many thresholds are below each of `values` (or, if `INCLUSIVE`, at most as large as it);
    /// 0 for `NaN`.
    pub(super) fn rank<const INCLUSIVE: bool>(&self, values: &[T], ranks: &mut [u32]) {
        match self.steps {
            0 => ranks.fill(0),
            1 => self.rank_in::<INCLUSIVE, 1>(values, ranks),
            2 => self.rank_in::<INCLUSIVE, 2>(values, ranks),
            3 => self.rank_in::<INCLUSIVE, 3>(values, ranks),
            4 => self.rank_in::<INCLUSIVE, 4>(values, ranks),
            5 => self.rank_in::<INCLUSIVE, 5>(values, ranks),
            6 => self.rank_in::<INCLUSIVE, 6>(values, ranks),
            7 => self.rank_in::<INCLUSIVE, 7>(values, ranks),
            8 => self.rank_in::<INCLUSIVE, 8>(values, ranks),
            _ => {
                for (rank, value) in ranks.iter_mut().zip(values) {
                    let bucket = value.bucket(self.lowest, self.scale, self.starts.len());
                    *rank = self.search::<INCLUSIVE>(bucket, *value, self.steps);
                }
            }
        }
    }

    /// As [`Ruler::rank`], with the number of steps known to the compiler.
    fn rank_in<const INCLUSIVE: bool, const STEPS: u32>(&self, values: &[T], ranks: &mut [u32]) {
        // Two loops: the first has no look-ups and becomes SIMD code.
        for (rank, value) in ranks.iter_mut().zip(values) {
            *rank = value.bucket(self.lowest, self.scale, self.starts.len());
        }
        for (rank, value) in ranks.iter_mut().zip(values) {
            *rank = self.search::<INCLUSIVE>(*rank, *value, STEPS);
        }
    }

    /// The rank of `value`, which lies in `bucket`.
    #[expect(unsafe_code, reason = "this is a quarter of the time that small models take")]
    #[inline(always)]
    fn search<const INCLUSIVE: bool>(&self, bucket: u32, value: T, steps: u32) -> u32 {
        // SAFETY: `bucket` is at most `starts.len() - 1`, whatever the value.
        let mut rank = unsafe { *self.starts.get_unchecked(bucket as usize) };
        let mut step = 1_u32 << steps;
        while step > 1 {
            step /= 2;
            // SAFETY: a start is at most `count`, and the steps, which are halves, quarters and so
            // on, add up to less than `1 << steps`, by which `thresholds` is longer than `count`.
            let threshold = unsafe { *self.thresholds.get_unchecked((rank + step - 1) as usize) };
            let passed = if INCLUSIVE { threshold <= value } else { threshold < value };
            rank += if passed { step } else { 0 };
        }
        rank.min(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_counts_of_thresholds() {
        let thresholds =
            [f32::NEG_INFINITY, -3.5, -1e-30, 0.0, 1e-30, 2.0, 2.000_000_2, 1e30, f32::INFINITY];
        for length in 0..=thresholds.len() {
            let sorted = &thresholds[..length];
            let ruler = Ruler::new(sorted);
            let mut values: Vec<f32> = thresholds.to_vec();
            values.extend([-0.0, f32::NAN, 1.0, -1e38, f32::MAX, f32::MIN, 5e-45]);
            let mut ranks = vec![0; values.len()];
            ruler.rank::<true>(&values, &mut ranks);
            for (value, rank) in values.iter().zip(&ranks) {
                let expected = sorted.iter().filter(|threshold| *threshold <= value).count();
                assert_eq!(*rank as usize, expected, "{value} among {sorted:?}");
            }
            ruler.rank::<false>(&values, &mut ranks);
            for (value, rank) in values.iter().zip(&ranks) {
                let expected = sorted.iter().filter(|threshold| *threshold < value).count();
                assert_eq!(*rank as usize, expected, "{value} among {sorted:?}");
            }
        }
    }
}

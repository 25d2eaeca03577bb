//! Random ensembles: every kernel answers what the plain predictor answers, to the last bit.

use std::sync::Arc;

use proptest::prelude::*;

use crate::{
    Column, Dialect, Ensemble, Predictor, Reference,
    ensemble::{CategorySet, Missing, Node, Test, Tree},
    link::Link,
};

/// A small generator of random numbers (splitmix64), so that a case is one number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A number that is often one of few, to hit thresholds exactly.
    fn value(&mut self) -> f32 {
        match self.below(12) {
            0 => f32::NAN,
            1 => [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, 1e-36, -1e-35, f32::MAX]
                [self.below(7)],
            2..6 => self.below(9) as f32 - 4.0,
            6 => f32::from_bits(self.next() as u32 & 0xbfff_ffff),
            _ => (self.below(100_000) as f32 - 50_000.0) / 4096.0,
        }
    }

    fn test(&mut self, dialect: Dialect) -> Test {
        let xgboost = dialect == Dialect::XgBoost;
        if self.chance(10) {
            let bits = (0..self.below(3)).map(|_| self.next() as u32).collect();
            return Test::Category {
                set: Arc::new(CategorySet::Bits(bits)),
                members_left: !xgboost,
                missing_left: xgboost && self.chance(50),
            };
        }
        let mut threshold = f64::from(self.value());
        while threshold.is_nan() {
            threshold = f64::from(self.value());
        }
        if !xgboost && self.chance(50) {
            threshold += threshold * 1e-12;
        }
        let missing = [Missing::Nan, Missing::Zero, Missing::Never];
        let missing = missing[if xgboost { 0 } else { self.below(3) }];
        Test::Threshold { threshold, missing, missing_left: self.chance(50) }
    }

    /// A tree with so many splits: of bushy shape, or one with few branches off a long stem.
    fn tree(&mut self, dialect: Dialect, features: usize, group: usize, splits: usize) -> Tree {
        let stem = self.chance(30);
        let mut nodes = vec![Node::Leaf { value: 0.0, id: 0 }];
        let mut open = vec![0];
        for _ in 0..splits {
            let at = if stem && !self.chance(10) { open.len() - 1 } else { self.below(open.len()) };
            let node = open.swap_remove(at);
            let (left, right) = (nodes.len() as u32, nodes.len() as u32 + 1);
            nodes.extend([Node::Leaf { value: 0.0, id: 0 }, Node::Leaf { value: 0.0, id: 0 }]);
            open.extend([left as usize, right as usize]);
            let feature = self.below(features) as u32;
            nodes[node] = Node::Split { feature, test: self.test(dialect), left, right };
        }
        for (number, leaf) in open.into_iter().enumerate() {
            let value = f64::from(self.below(2_000_001) as f32 / 1e6 - 1.0);
            nodes[leaf] = Node::Leaf { value, id: number as i32 };
        }
        Tree { group, nodes }
    }

    fn ensemble(&mut self) -> Ensemble {
        let dialect = if self.chance(50) { Dialect::XgBoost } else { Dialect::LightGbm };
        let features = 1 + self.below(20);
        let groups = 1 + self.below(3);
        let most_splits = [0, 1, 7, 30, 63, 120, 255, 256, 700][self.below(9)];
        let trees = (0..self.below(20))
            .map(|index| {
                let splits = self.below(most_splits + 1);
                self.tree(dialect, features, index % groups, splits)
            })
            .collect();
        let base = (0..groups).map(|group| 0.25 * group as f64).collect();
        let link = Link::Identity;
        Ensemble { dialect, features, names: None, base, trees, divisor: 1.0, link }
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Checks both predictors of a random ensemble on random rows.
fn check(seed: u64) {
    let mut random = Random(seed);
    let ensemble = random.ensemble();
    let rows = [0, 1, 63, 64, 65, 200, 512, 600, 1100][random.below(9)];
    let single: Vec<Vec<f32>> =
        (0..ensemble.features()).map(|_| (0..rows).map(|_| random.value()).collect()).collect();
    let double: Vec<Vec<f64>> = single
        .iter()
        .map(|column| column.iter().map(|value| f64::from(*value) * (1.0 + 1e-12)).collect())
        .collect();
    let mut columns: Vec<Column<'_>> = single.iter().map(|values| Column::F32(values)).collect();
    // XGBoost reads every number as `float32`, which the plain predictor leaves to the caller.
    if ensemble.dialect() == Dialect::LightGbm && random.chance(50) {
        columns = double.iter().map(|values| Column::F64(values)).collect();
    }
    let expected = Reference::new(&ensemble).predict(&columns, rows, true);
    let expected_leaves = Reference::new(&ensemble).leaves(&columns, rows);
    for predictor in [Predictor::new(ensemble.clone()), Predictor::portable(ensemble.clone())] {
        let mut found = vec![0.0_f64; rows * ensemble.groups()];
        predictor.predict(&columns, true, &mut found);
        assert_eq!(bits(&found), bits(&expected));
        let mut leaves = vec![0; rows * ensemble.trees()];
        predictor.leaves(&columns, &mut leaves);
        assert_eq!(leaves, expected_leaves);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn kernels_agree_on_random_ensembles(seed in any::<u64>()) {
        check(seed);
    }
}

/// A feature with more thresholds than one column of codes can tell apart.
#[test]
fn many_thresholds_take_several_columns() {
    let mut random = Random(7);
    let trees = (0..40).map(|_| random.tree(Dialect::XgBoost, 1, 0, 60)).collect();
    let ensemble = Ensemble {
        dialect: Dialect::XgBoost,
        features: 1,
        names: None,
        base: vec![0.0],
        trees,
        divisor: 1.0,
        link: Link::Identity,
    };
    let values: Vec<f32> = (0..1000).map(|_| random.value()).collect();
    let columns = [Column::F32(&values)];
    let expected = Reference::new(&ensemble).predict(&columns, 1000, true);
    let mut found = vec![0.0_f64; 1000];
    Predictor::new(ensemble).predict(&columns, true, &mut found);
    assert_eq!(bits(&found), bits(&expected));
}

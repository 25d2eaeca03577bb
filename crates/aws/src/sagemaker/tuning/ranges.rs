//! [`Space`]: what a search tries, one set of values after another. The same seed tries the same.

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The ranges of a request.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ParameterRanges {
    #[serde(rename = "IntegerParameterRanges")]
    integer: Vec<NumberRange>,
    #[serde(rename = "ContinuousParameterRanges")]
    continuous: Vec<NumberRange>,
    #[serde(rename = "CategoricalParameterRanges")]
    categorical: Vec<CategoricalRange>,
    #[serde(rename = "AutoParameters")]
    pub(super) auto: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NumberRange {
    name: String,
    min_value: String,
    max_value: String,
    scaling_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CategoricalRange {
    name: String,
    values: Vec<String>,
}

/// How a range is gone through: where there is more to be found.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scaling {
    /// Evenly.
    Linear,
    /// Evenly in the logarithm.
    Logarithmic,
    /// Evenly in the logarithm of what is missing to 1.
    ReverseLogarithmic,
}

#[derive(Debug, Clone, PartialEq)]
enum Dimension {
    Integer { low: i64, high: i64, scaling: Scaling },
    Continuous { low: f64, high: f64, scaling: Scaling },
    Categorical(Vec<String>),
}

/// The values that hyperparameters may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Space {
    dimensions: Vec<(String, Dimension)>,
}

impl Space {
    /// The space of some ranges, or what is wrong with them.
    pub(super) fn of(ranges: &ParameterRanges) -> Result<Self, String> {
        let mut dimensions = Vec::new();
        for range in &ranges.categorical {
            if range.values.is_empty() {
                return Err(format!("The range of {} has no values", range.name));
            }
            dimensions.push((range.name.clone(), Dimension::Categorical(range.values.clone())));
        }
        for range in &ranges.integer {
            dimensions.push((range.name.clone(), range.integer()?));
        }
        for range in &ranges.continuous {
            dimensions.push((range.name.clone(), range.continuous()?));
        }
        if dimensions.is_empty() {
            return Err("ParameterRanges must have at least one range".to_owned());
        }
        for (index, (name, _)) in dimensions.iter().enumerate() {
            if dimensions[..index].iter().any(|(other, _)| other == name) {
                return Err(format!("Hyperparameter {name} has more than one range"));
            }
        }
        Ok(Self { dimensions })
    }

    /// The names of its hyperparameters.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.dimensions.iter().map(|(name, _)| name.as_str())
    }

    /// How many sets of values there are, if each can be tried.
    pub(super) fn combinations(&self) -> Option<u64> {
        self.dimensions.iter().try_fold(1_u64, |product, (_, dimension)| match dimension {
            Dimension::Categorical(values) => Some(product.saturating_mul(values.len() as u64)),
            _ => None,
        })
    }

    /// Set number `index` of all that there are; the last hyperparameter changes first.
    pub(super) fn combination(&self, index: u64) -> Map<String, Value> {
        let mut left = index;
        let mut chosen = Map::new();
        for (name, dimension) in self.dimensions.iter().rev() {
            if let Dimension::Categorical(values) = dimension {
                let count = values.len() as u64;
                let value = &values[usize::try_from(left % count).unwrap_or(0)];
                chosen.insert(name.clone(), Value::from(value.as_str()));
                left /= count;
            }
        }
        chosen
    }

    /// Set number `index` of those that `seed` stands for.
    pub(super) fn sample(&self, seed: u64, index: u64) -> Map<String, Value> {
        let choose = |(name, dimension): &(String, Dimension)| {
            let value = dimension.at(chance(seed, index, name));
            (name.clone(), Value::from(value))
        };
        self.dimensions.iter().map(choose).collect()
    }
}

/// A number from 0 to 1 that follows from what it is for.
fn chance(seed: u64, index: u64, name: &str) -> f64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(index.to_le_bytes());
    hash.update(name);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.finalize()[..8]);
    // As many bits as a number has.
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
}

impl Dimension {
    /// The value at a place from 0 to 1.
    fn at(&self, place: f64) -> String {
        match self {
            Self::Categorical(values) => {
                let index = (place * values.len() as f64) as usize;
                values[index.min(values.len() - 1)].clone()
            }
            // Each number has the same room, those at the ends too.
            Self::Integer { low, high, scaling: Scaling::Linear } => {
                let count = (high - low) as f64 + 1.0;
                (low + (place * count) as i64).min(*high).to_string()
            }
            Self::Integer { low, high, .. } => {
                let (from, to) = ((*low as f64 - 0.5).ln(), (*high as f64 + 0.5).ln());
                let value = (from + place * (to - from)).exp().round() as i64;
                value.clamp(*low, *high).to_string()
            }
            Self::Continuous { low, high, scaling } => {
                let between = |from: f64, to: f64| from + place * (to - from);
                let value = match scaling {
                    Scaling::Linear => between(*low, *high),
                    Scaling::Logarithmic => between(low.ln(), high.ln()).exp(),
                    Scaling::ReverseLogarithmic => {
                        1.0 - between((1.0 - low).ln(), (1.0 - high).ln()).exp()
                    }
                };
                value.clamp(*low, *high).to_string()
            }
        }
    }
}

impl NumberRange {
    fn integer(&self) -> Result<Dimension, String> {
        let (low, high) = self.ends::<i64>("an integer")?;
        let scaling = self.scaling()?;
        match scaling {
            Scaling::Logarithmic if low < 1 => Err(self.wrong("logarithmic, and begins below 1")),
            Scaling::ReverseLogarithmic => {
                Err(self.wrong("reverse logarithmic, which ranges of integers can't be"))
            }
            _ => Ok(Dimension::Integer { low, high, scaling }),
        }
    }

    fn continuous(&self) -> Result<Dimension, String> {
        let (low, high) = self.ends::<f64>("a number")?;
        let scaling = self.scaling()?;
        match scaling {
            _ if !low.is_finite() || !high.is_finite() => Err(self.wrong("without end")),
            Scaling::Logarithmic if low <= 0.0 => {
                Err(self.wrong("logarithmic, and does not begin above 0"))
            }
            Scaling::ReverseLogarithmic if low < 0.0 || high >= 1.0 => {
                Err(self.wrong("reverse logarithmic, and not from 0 to below 1"))
            }
            _ => Ok(Dimension::Continuous { low, high, scaling }),
        }
    }

    fn ends<T: std::str::FromStr + PartialOrd>(&self, what: &str) -> Result<(T, T), String> {
        let read = |text: &str| {
            let value = text.trim().parse::<T>();
            value.map_err(|_| format!("`{text}` in the range of {} is not {what}", self.name))
        };
        let (low, high) = (read(&self.min_value)?, read(&self.max_value)?);
        if low > high {
            return Err(self.wrong("empty: its MinValue is above its MaxValue"));
        }
        Ok((low, high))
    }

    fn wrong(&self, how: &str) -> String {
        format!("The range of {} is {how}", self.name)
    }

    /// What the service chooses where it may is to go through a range evenly.
    fn scaling(&self) -> Result<Scaling, String> {
        match self.scaling_type.as_deref() {
            None | Some("Auto" | "Linear") => Ok(Scaling::Linear),
            Some("Logarithmic") => Ok(Scaling::Logarithmic),
            Some("ReverseLogarithmic") => Ok(Scaling::ReverseLogarithmic),
            Some(other) => Err(format!("The range of {} has no scaling {other}", self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn space(ranges: Value) -> Result<Space, String> {
        Space::of(&serde_json::from_value(ranges).unwrap())
    }

    fn number(name: &str, low: &str, high: &str, scaling: &str) -> Value {
        json!({ "Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scaling })
    }

    #[test]
    fn samples_are_in_their_ranges_spread_as_asked_and_the_same_for_a_seed() {
        let space = space(json!({
            "IntegerParameterRanges": [
                number("depth", "1", "3", "Linear"), number("trees", "1", "1000", "Logarithmic"),
            ],
            "ContinuousParameterRanges": [
                number("rate", "0.001", "10", "Logarithmic"),
                number("momentum", "0.5", "0.999", "ReverseLogarithmic"),
                number("fixed", "2", "2", "Auto"),
            ],
            "CategoricalParameterRanges": [{ "Name": "kind", "Values": ["a", "b"] }],
        }))
        .unwrap();
        let sets: Vec<Map<String, Value>> =
            (0..2_000).map(|index| space.sample(7, index)).collect();
        let values = |name: &str| {
            sets.iter().map(|set| set[name].as_str().unwrap().to_owned()).collect::<Vec<String>>()
        };
        let numbers = |name: &str| -> Vec<f64> {
            values(name).iter().map(|text| text.parse().unwrap()).collect()
        };
        let share = |name: &str, below: f64| {
            numbers(name).iter().filter(|value| **value < below).count() as f64 / 2_000.0
        };
        let near = |share: f64, wanted: f64| assert!((share - wanted).abs() < 0.05, "{share}");
        near(share("depth", 1.5), 1.0 / 3.0);
        near(share("depth", 2.5), 2.0 / 3.0);
        // As many in each power of ten.
        near(share("rate", 0.01), 0.25);
        near(share("rate", 0.1), 0.5);
        near(share("trees", 31.5), (31.5_f64 / 0.5).ln() / (1000.5_f64 / 0.5).ln());
        near(share("momentum", 0.95), (0.5_f64 / 0.05).ln() / (0.5_f64 / 0.001).ln());
        near(values("kind").iter().filter(|kind| *kind == "a").count() as f64 / 2_000.0, 0.5);
        assert!(values("fixed").iter().all(|value| value == "2"));
        let within = |name: &str, low: f64, high: f64| {
            assert!(numbers(name).iter().all(|value| (low..=high).contains(value)), "{name}");
        };
        within("depth", 1.0, 3.0);
        within("trees", 1.0, 1_000.0);
        within("rate", 0.001, 10.0);
        within("momentum", 0.5, 0.999);
        assert_eq!(space.sample(7, 3), sets[3]);
        assert_ne!(space.sample(8, 3), sets[3]);
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let space = space(json!({ "CategoricalParameterRanges": [
            { "Name": "a", "Values": ["x", "y"] }, { "Name": "b", "Values": ["1", "2", "3"] },
        ]}))
        .unwrap();
        assert_eq!(space.combinations(), Some(6));
        let mut all: Vec<String> =
            (0..6).map(|index| Value::Object(space.combination(index)).to_string()).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn ranges_that_can_not_be_are_refused() {
        let integer = |range: Value| space(json!({ "IntegerParameterRanges": [range] }));
        let continuous = |range: Value| space(json!({ "ContinuousParameterRanges": [range] }));
        let refused = [
            (integer(number("n", "3", "1", "Auto")), "MinValue is above"),
            (integer(number("n", "0.5", "1", "Auto")), "not an integer"),
            (integer(number("n", "0", "9", "Logarithmic")), "begins below 1"),
            (integer(number("n", "0", "1", "ReverseLogarithmic")), "integers can't be"),
            (continuous(number("n", "0", "9", "Logarithmic")), "above 0"),
            (continuous(number("n", "0", "1", "ReverseLogarithmic")), "below 1"),
            (continuous(number("n", "0", "inf", "Auto")), "without end"),
            (space(json!({})), "at least one range"),
        ];
        for (result, words) in refused {
            let message = result.unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}

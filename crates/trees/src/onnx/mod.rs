//! Tree ensembles in ONNX models: `TreeEnsembleRegressor`, `TreeEnsembleClassifier` and `TreeEnsemble`,
//! with what exporters put before and after them.
//!
//! - `message` reads the model's messages, `graph` walks its operators.
//! - `attributes` and `attributes_v5` read the operators' trees as a `forest`, which becomes an
//!   [`Ensemble`] of one tree a tree and target.
//! - `features` are the columns before the trees, `finish` makes scores and labels of the sums.
//!
//! A model that holds anything else is refused with [`ReadError::Unsupported`]; ONNX Runtime may run it.

mod attributes;
mod attributes_v5;
mod features;
mod finish;
mod forest;
mod graph;
mod message;
mod predictor;
#[cfg(test)]
mod tests;

pub use attributes::Labels;
pub use features::{InputType, OnnxInput};
pub use predictor::{OnnxColumn, OnnxPredictor, OnnxScores};

use self::{
    graph::{Walked, walk},
    message::Graph,
};
use crate::{
    Ensemble,
    read::{MOST_FEATURES, ReadError},
};

/// An ONNX model that is nothing but trees.
#[derive(Debug)]
pub struct OnnxTrees {
    walked: Walked,
}

/// An output of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxOutput {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub value: OnnxValue,
}

/// What an output holds for a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnnxValue {
    /// The name of a class.
    Label,
    /// So many `float`s.
    Scores(usize),
    /// A `float` for each of these classes.
    Map(Vec<String>),
}

impl OnnxTrees {
    /// Reads the model in `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let walked = walk(&Graph::of_model(bytes)?)?;
        let least = walked.ensemble.features();
        if let Some(width) = walked.features.width()
            && width < least
        {
            let message = format!("feature {} of {width}", least - 1);
            return Err(ReadError::Invalid { path: "nodes_featureids".to_owned(), message });
        }
        Ok(Self { walked })
    }

    /// The model's inputs.
    #[must_use]
    pub fn inputs(&self) -> &[OnnxInput] {
        &self.walked.inputs
    }

    /// The trees. They know only the features that they ask for; their groups are targets.
    #[must_use]
    pub fn ensemble(&self) -> &Ensemble {
        &self.walked.ensemble
    }

    /// The outputs, in order.
    #[must_use]
    pub fn outputs(&self) -> Vec<OnnxOutput> {
        let output = |(name, scores): &(String, Option<graph::Scores>)| OnnxOutput {
            name: name.clone(),
            value: match scores {
                None => OnnxValue::Label,
                Some(graph::Scores { classes: Some(classes), .. }) => {
                    OnnxValue::Map(classes.clone())
                }
                Some(scores) => OnnxValue::Scores(scores.count),
            },
        };
        self.walked.outputs.iter().map(output).collect()
    }

    /// The names of the classes, if the model classifies.
    #[must_use]
    pub fn labels(&self) -> Option<&Labels> {
        self.walked.finish.labels()
    }

    /// The predictor for inputs of these widths, one an input.
    pub fn predictor(self, widths: &[usize]) -> Result<OnnxPredictor, ReadError> {
        let Walked { inputs, features, mut ensemble, finish, outputs } = self.walked;
        let fits = |(width, input): (&usize, &OnnxInput)| {
            input.width.is_none_or(|declared| declared == *width)
        };
        if widths.len() != inputs.len() || !widths.iter().zip(&inputs).all(fits) {
            let message = format!("inputs of the widths {widths:?}");
            return Err(ReadError::Invalid { path: "inputs".to_owned(), message });
        }
        let columns = features.columns(widths)?;
        let declared = features.width().unwrap_or(columns.len());
        if columns.len() < ensemble.features || columns.len() != declared {
            let (given, asked) = (columns.len(), ensemble.features.max(declared));
            let message = format!("{given} features, where the model reads {asked}");
            return Err(ReadError::Invalid { path: "inputs".to_owned(), message });
        }
        if columns.len() > MOST_FEATURES {
            let message = format!("a count of {}", columns.len());
            return Err(ReadError::Invalid { path: "inputs".to_owned(), message });
        }
        ensemble.features = columns.len();
        Ok(OnnxPredictor::new(ensemble, columns, finish, outputs))
    }
}

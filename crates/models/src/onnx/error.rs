//! Why a model can't be used.

use std::{fmt::Write, io, path::PathBuf};

use bessemer_domain::{ExitCode, nearest_names};
use bessemer_trees::ReadError;

use super::runtime::RuntimeError;

/// Why an ONNX model can't be used. Messages follow "failed to".
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// ONNX Runtime itself is missing or unfit.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The file can't be read.
    #[error("read the model `{path}`")]
    Read {
        /// The model.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no ONNX model, or only a part of one.
    #[error("read the model `{path}`: {reason}")]
    NotAModel {
        /// The model.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is nothing but trees, which we score ourselves, and they make no sense.
    #[error("load the trees of the model `{path}`")]
    Trees {
        /// The model.
        path: PathBuf,
        /// What is wrong with them.
        source: ReadError,
    },
    /// ONNX Runtime refused the model.
    #[error("load the model `{path}`: {message}")]
    Refused {
        /// The model.
        path: PathBuf,
        /// What ONNX Runtime said.
        message: String,
    },
    /// The model takes or gives what can't come from or go into columns.
    #[error("use the model `{path}`: {reason}")]
    Unsupported {
        /// The model.
        path: PathBuf,
        /// Which input or output, and why.
        reason: String,
    },
    /// An output was asked for that the model does not have.
    #[error("find the output `{wanted}`; {}", known_outputs(wanted, known))]
    UnknownOutput {
        /// The name that was asked for.
        wanted: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The model does not say how many features it reads.
    #[error("tell how many features the input `{input}` takes: the model leaves it open")]
    FeaturesUnknown {
        /// The model's input.
        input: String,
    },
    /// Another number of features was named than the model reads.
    #[error("match {named} named features to the {expected} that the model reads")]
    FeatureCount {
        /// How many were named.
        named: usize,
        /// How many the model reads.
        expected: usize,
    },
}

impl OnnxError {
    /// What the user can do about it, if there is one thing to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Runtime(error) => error.hint(),
            Self::FeaturesUnknown { .. } => {
                Some("name the columns with --features A,B,C".to_owned())
            }
            _ => None,
        }
    }

    /// The exit code of a command that fails of it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Read { source, .. } => ExitCode::of_io(source, ExitCode::Configuration),
            Self::Runtime(error) => error.exit_code(),
            _ => ExitCode::Configuration,
        }
    }
}

fn known_outputs(wanted: &str, known: &[String]) -> String {
    let mut text = format!("the model has {}", list(known.iter().map(String::as_str)));
    let nearest = nearest_names(wanted, known.iter().map(String::as_str), 3);
    if !nearest.is_empty() {
        let _ = write!(text, "; did you mean {}", list(nearest));
    }
    text
}

/// "`a`, `b`, `c`"
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// What ONNX Runtime says, as one short line: without the source files and C++ functions of its own.
///
/// `Non-zero status code returned while running Gemm node. Name:'fc' Status Message:
/// /src/onnxruntime/core/x.h:121 onnxruntime::Helper(…) bad shape`
/// becomes ``Gemm node `fc`: bad shape``.
pub(super) fn short_message(message: &str) -> String {
    const LONGEST: usize = 300;
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let (place, said) = match line.split_once("Status Message: ") {
        Some((before, said)) => (failed_node(before), said),
        None => (None, line),
    };
    let said = without_source(said);
    let said = if said.is_empty() { "ONNX Runtime failed without a word" } else { said };
    let mut short = match place {
        Some(node) => format!("{node}: {said}"),
        None => said.to_owned(),
    };
    if let Some((end, _)) = short.char_indices().nth(LONGEST) {
        short.truncate(end);
        short.push('…');
    }
    short
}

/// "Gemm node `fc`" from "… while running Gemm node. Name:'fc' ".
fn failed_node(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("while running ")?;
    let (operator, rest) = rest.split_once(" node.")?;
    let name = rest.split('\'').nth(1).filter(|name| !name.is_empty());
    Some(
        name.map_or_else(|| format!("{operator} node"), |name| format!("{operator} node `{name}`")),
    )
}

/// `text` from after `/path/file.cc:12 some::function(args) const` and `… was false.`.
fn without_source(text: &str) -> &str {
    let is_place = |word: &str| {
        word.rsplit_once(':').is_some_and(|(file, line)| {
            [".cc", ".h", ".cpp", ".hpp", ".inc"].iter().any(|ending| file.ends_with(ending))
                && line.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let mut at = None;
    for word in text.split(' ') {
        if is_place(word) {
            at = Some(word.as_ptr() as usize - text.as_ptr() as usize + word.len());
        }
    }
    let Some(at) = at else { return text.trim() };
    let rest = text[at..].trim();
    let after_function = match rest.find(") ") {
        Some(close) if rest[..close].contains("::") => rest[close + 2..].trim(),
        _ => rest,
    };
    let after_function = after_function.strip_prefix("const ").unwrap_or(after_function);
    match after_function.split_once(" was false. ") {
        Some((_, reason)) if !reason.trim().is_empty() => reason.trim(),
        _ => after_function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_runtime_are_cut_to_what_helps() {
        let long = "Non-zero status code returned while running Gemm node. Name:'fc1' Status Message: \
            /onnxruntime_src/onnxruntime/core/providers/cpu/math/gemm_helper.h:15 \
            onnxruntime::GemmHelper::GemmHelper(const onnxruntime::TensorShape&, bool) M_ >= 0 && K_ > 0 \
            was false. GEMM: Dimension mismatch, W: {4,2}\n\nStacktrace: …";
        assert_eq!(short_message(long), "Gemm node `fc1`: GEMM: Dimension mismatch, W: {4,2}");
        assert_eq!(short_message("Invalid rank for input: X"), "Invalid rank for input: X");
        assert_eq!(short_message("\n"), "ONNX Runtime failed without a word");
        assert_eq!(short_message(&"ü".repeat(1000)).chars().count(), 301);
    }

    #[test]
    fn an_unknown_output_names_the_nearest() {
        let known = vec!["label".to_owned(), "probabilities".to_owned()];
        let error = OnnxError::UnknownOutput { wanted: "probability".to_owned(), known };
        assert_eq!(
            error.to_string(),
            "find the output `probability`; the model has `label`, `probabilities`; \
             did you mean `probabilities`"
        );
    }
}

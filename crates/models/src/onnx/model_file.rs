//! What we read from a model file ourselves, and what we change in it before ONNX Runtime sees it.
//!
//! Classifiers of scikit-learn end in `ZipMap`, which turns the tensor of probabilities into one map a
//! record; taking thousands of maps apart again would cost more than the model. We drop the node, let
//! its input be the output, and keep the class labels. Outputs that nobody asked for are dropped too.
//!
//! Field numbers are those of
//! <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

use std::collections::{HashMap, HashSet};

use bessemer_trees::protobuf::{Field, Fields, ProtobufError, Value, put_bytes, put_integer};

use super::error::list;

/// A model as it is to be loaded.
#[derive(Debug)]
pub(super) struct ModelFile {
    /// The outputs, in order.
    pub(super) outputs: Vec<DeclaredOutput>,
    /// The names of the features, if the model's metadata records them.
    pub(super) feature_names: Option<Vec<String>>,
    /// Whether weights stand in files beside the model.
    pub(super) external_data: bool,
    /// The model with our changes, if it needs any.
    pub(super) edited: Option<Vec<u8>>,
}

/// An output of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeclaredOutput {
    /// Its name in the model as its author wrote it.
    pub(super) name: String,
    /// Its name in the model as it is loaded.
    pub(super) tensor: String,
    /// The classes that its columns stand for, if it was a `ZipMap`'s.
    pub(super) labels: Option<Vec<String>>,
}

/// Why a model file can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ModelFileError {
    #[error(transparent)]
    Protobuf(#[from] ProtobufError),
    #[error("it holds no graph: it is not an ONNX model")]
    NoGraph,
    #[error("{0}")]
    Unsupported(String),
    #[error("output `{wanted}` is not there")]
    UnknownOutput { wanted: String, known: Vec<String> },
}

/// Whether a file that begins with `start` may be an ONNX model.
pub(crate) fn looks_like_onnx(start: &[u8]) -> bool {
    let mut fields = Fields::of(start);
    let Some(Ok(Field { number: 1, value: Value::Varint(1..=64), .. })) = fields.next() else {
        return false;
    };
    // The next field, if the file's start reaches so far: the producer, a version, the graph …
    match fields.next() {
        Some(Ok(field)) => matches!(field.number, 2..=8 | 14 | 20 | 25),
        Some(Err(error)) => error == ProtobufError::Truncated,
        None => false,
    }
}

impl ModelFile {
    /// Reads the model in `bytes`; keeps only the outputs in `wanted`, if it is given.
    pub(super) fn read(bytes: &[u8], wanted: Option<&[String]>) -> Result<Self, ModelFileError> {
        let mut graph_bytes = None;
        for field in Fields::of(bytes) {
            let field = field?;
            if field.number == 7 {
                graph_bytes = Some(field.bytes()?);
            }
        }
        let graph = Graph::read(graph_bytes.ok_or(ModelFileError::NoGraph)?)?;
        graph.check_inputs()?;
        let (outputs, zip_maps) = graph.outputs(wanted)?;
        let all = outputs.len() == graph.outputs.len();
        let edited = (!all || !zip_maps.is_empty()).then(|| {
            let graph = graph.with_outputs(&outputs, &zip_maps);
            with_graph(bytes, &graph)
        });
        let feature_names = feature_names(bytes)?;
        Ok(Self { outputs, feature_names, external_data: graph.external_data, edited })
    }
}

/// The names of the features, if the metadata of the model in `bytes` records them.
pub(super) fn feature_names(bytes: &[u8]) -> Result<Option<Vec<String>>, ProtobufError> {
    let mut metadata = HashMap::new();
    for field in Fields::of(bytes) {
        let field = field?;
        if field.number == 14 {
            let (key, value) = entry(field.bytes()?)?;
            metadata.insert(key, value);
        }
    }
    let names = |key| serde_json::from_str(metadata.get(key)?).ok();
    Ok(["features", "feature_names"].into_iter().find_map(names))
}

/// The model in `bytes` with another graph.
fn with_graph(bytes: &[u8], graph: &[u8]) -> Vec<u8> {
    let mut edited = Vec::with_capacity(bytes.len());
    for field in Fields::of(bytes).flatten().filter(|field| field.number != 7) {
        edited.extend_from_slice(field.raw);
    }
    put_bytes(&mut edited, 7, graph);
    edited
}

/// What we look at in a `GraphProto`.
#[derive(Default)]
struct Graph<'a> {
    bytes: &'a [u8],
    inputs: Vec<Variable>,
    outputs: Vec<Variable>,
    initializers: HashSet<String>,
    external_data: bool,
    zip_maps: Vec<ZipMap>,
}

/// A `ValueInfoProto`: an input or output.
struct Variable {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tensor,
    /// With the words for it.
    Other(&'static str),
}

struct ZipMap {
    input: String,
    output: String,
    labels: Vec<String>,
}

impl<'a> Graph<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ProtobufError> {
        let mut graph = Self { bytes, ..Self::default() };
        for field in Fields::of(bytes) {
            let field = field?;
            match field.number {
                1 => graph.zip_maps.extend(zip_map(field.bytes()?)?),
                5 => graph.read_initializer(field.bytes()?)?,
                11 => graph.inputs.push(variable(field.bytes()?)?),
                12 => graph.outputs.push(variable(field.bytes()?)?),
                _ => {}
            }
        }
        Ok(graph)
    }

    fn read_initializer(&mut self, tensor: &[u8]) -> Result<(), ProtobufError> {
        for field in Fields::of(tensor) {
            let field = field?;
            match (field.number, field.value) {
                (8, _) => {
                    self.initializers.insert(field.text()?);
                }
                (14, Value::Varint(1)) => self.external_data = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether all inputs without a value of their own (old models list weights too) are tensors.
    fn check_inputs(&self) -> Result<(), ModelFileError> {
        let given = |input: &&Variable| !self.initializers.contains(&input.name);
        let mut inputs = self.inputs.iter().filter(given).peekable();
        if inputs.peek().is_none() {
            return Err(ModelFileError::Unsupported("it has no inputs".to_owned()));
        }
        for Variable { name, kind } in inputs {
            if let Kind::Other(kind) = kind {
                return Err(ModelFileError::Unsupported(format!(
                    "input `{name}` is {kind}; only tensors can be filled from columns"
                )));
            }
        }
        Ok(())
    }

    /// The outputs to keep, and the `ZipMap` nodes that make some of them.
    fn outputs(
        &self,
        wanted: Option<&[String]>,
    ) -> Result<(Vec<DeclaredOutput>, Vec<&ZipMap>), ModelFileError> {
        let known = || self.outputs.iter().map(|output| output.name.clone()).collect();
        let chosen: Vec<&Variable> = match wanted {
            None => self.outputs.iter().collect(),
            Some(wanted) => {
                let find = |name: &String| {
                    let found = self.outputs.iter().find(|output| output.name == *name);
                    found.ok_or_else(|| ModelFileError::UnknownOutput {
                        wanted: name.clone(),
                        known: known(),
                    })
                };
                wanted.iter().map(find).collect::<Result<_, _>>()?
            }
        };
        if chosen.is_empty() {
            return Err(ModelFileError::Unsupported("it has no outputs".to_owned()));
        }
        let mut outputs = Vec::new();
        let mut zip_maps = Vec::new();
        for Variable { name, kind } in chosen {
            let zip_map = self.zip_maps.iter().find(|zip_map| zip_map.output == *name);
            let (tensor, labels) = match (zip_map, kind) {
                (Some(zip_map), _) => {
                    zip_maps.push(zip_map);
                    (zip_map.input.clone(), Some(zip_map.labels.clone()))
                }
                (None, Kind::Tensor) => (name.clone(), None),
                (None, Kind::Other(kind)) => {
                    let others = self.outputs.iter().filter(|output| output.kind == Kind::Tensor);
                    let others = list(others.map(|output| output.name.as_str()));
                    return Err(ModelFileError::Unsupported(format!(
                        "output `{name}` is {kind}, which can't become a column; choose among the \
                         outputs that can: {others}"
                    )));
                }
            };
            outputs.push(DeclaredOutput { name: name.clone(), tensor, labels });
        }
        Ok((outputs, zip_maps))
    }

    /// The graph with these outputs and without these nodes.
    fn with_outputs(&self, outputs: &[DeclaredOutput], without: &[&ZipMap]) -> Vec<u8> {
        let dropped = |node: &Field| {
            let made = node.bytes().and_then(zip_map).ok().flatten();
            made.is_some_and(|made| without.iter().any(|zip_map| zip_map.output == made.output))
        };
        let mut edited = Vec::with_capacity(self.bytes.len());
        let mut declared = HashMap::new();
        for field in Fields::of(self.bytes).flatten() {
            match field.number {
                1 if dropped(&field) => {}
                12 => {
                    let name = field.bytes().and_then(variable).map(|variable| variable.name);
                    declared.insert(name.unwrap_or_default(), field.raw);
                }
                _ => edited.extend_from_slice(field.raw),
            }
        }
        let mut put = HashSet::new();
        for output in outputs.iter().filter(|output| put.insert(output.tensor.as_str())) {
            match declared.get(&output.tensor) {
                Some(raw) => edited.extend_from_slice(raw),
                None => put_bytes(&mut edited, 12, &float_tensor(&output.tensor)),
            }
        }
        edited
    }
}

/// The `ValueInfoProto` of a tensor of floats, which is all that a `ZipMap` takes.
fn float_tensor(name: &str) -> Vec<u8> {
    let mut tensor_type = Vec::new();
    put_integer(&mut tensor_type, 1, 1);
    let mut r#type = Vec::new();
    put_bytes(&mut r#type, 1, &tensor_type);
    let mut info = Vec::new();
    put_bytes(&mut info, 1, name.as_bytes());
    put_bytes(&mut info, 2, &r#type);
    info
}

/// A `ValueInfoProto`.
fn variable(info: &[u8]) -> Result<Variable, ProtobufError> {
    let mut variable = Variable { name: String::new(), kind: Kind::Tensor };
    for field in Fields::of(info) {
        let field = field?;
        match field.number {
            1 => variable.name = field.text()?,
            2 => {
                for field in Fields::of(field.bytes()?) {
                    match field?.number {
                        4 => variable.kind = Kind::Other("a sequence"),
                        5 => variable.kind = Kind::Other("a map"),
                        7 => variable.kind = Kind::Other("opaque"),
                        8 => variable.kind = Kind::Other("a sparse tensor"),
                        9 => variable.kind = Kind::Other("optional"),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(variable)
}

/// The `NodeProto`, if it is a `ZipMap`.
fn zip_map(node: &[u8]) -> Result<Option<ZipMap>, ProtobufError> {
    let mut operator = None;
    let mut zip_map = ZipMap { input: String::new(), output: String::new(), labels: Vec::new() };
    for field in Fields::of(node) {
        let field = field?;
        match field.number {
            1 => zip_map.input = field.text()?,
            2 => zip_map.output = field.text()?,
            4 => operator = Some(field.bytes()?),
            _ => {}
        }
    }
    if operator != Some(b"ZipMap") {
        return Ok(None);
    }
    for field in Fields::of(node) {
        let field = field?;
        if field.number == 5 {
            zip_map.labels.extend(labels(field.bytes()?)?);
        }
    }
    Ok(Some(zip_map))
}

/// The strings or integers of an `AttributeProto`.
fn labels(attribute: &[u8]) -> Result<Vec<String>, ProtobufError> {
    let mut labels = Vec::new();
    for field in Fields::of(attribute) {
        let field = field?;
        match field.number {
            8 => labels.extend(field.integers()?.iter().map(i64::to_string)),
            9 => labels.push(field.text()?),
            _ => {}
        }
    }
    Ok(labels)
}

/// A `StringStringEntryProto`.
fn entry(entry: &[u8]) -> Result<(String, String), ProtobufError> {
    let mut pair = (String::new(), String::new());
    for field in Fields::of(entry) {
        let field = field?;
        match field.number {
            1 => pair.0 = field.text()?,
            2 => pair.1 = field.text()?,
            _ => {}
        }
    }
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &[(u64, &[u8])]) -> Vec<u8> {
        let mut message = Vec::new();
        for (number, bytes) in fields {
            put_bytes(&mut message, *number, bytes);
        }
        message
    }

    /// A classifier: `X` goes in, `label` and the `ZipMap` output `scores` come out.
    fn classifier() -> Vec<u8> {
        let input = message(&[(1, b"X"), (2, &message(&[(1, &[])]))]);
        let weights = message(&[(8, b"W")]);
        let label = message(&[(1, b"label"), (2, &message(&[(1, &[])]))]);
        let scores = message(&[(1, b"scores"), (2, &message(&[(4, &[])]))]);
        let node = message(&[(1, b"X"), (2, b"label"), (2, b"raw"), (4, b"LinearClassifier")]);
        let attribute = message(&[(1, b"classlabels_strings"), (9, b"cat"), (9, b"dog")]);
        let zip = message(&[(1, b"raw"), (2, b"scores"), (4, b"ZipMap"), (5, &attribute)]);
        let weight_input = message(&[(1, b"W")]);
        let graph = message(&[
            (1, &node),
            (1, &zip),
            (5, &weights),
            (11, &input),
            (11, &weight_input),
            (12, &label),
            (12, &scores),
        ]);
        let names = message(&[(1, b"features"), (2, br#"["a", "b"]"#)]);
        let mut model = Vec::new();
        put_integer(&mut model, 1, 8);
        model.extend(message(&[(2, b"test"), (7, &graph), (14, &names)]));
        model
    }

    #[test]
    fn a_zip_map_becomes_the_tensor_under_it() {
        let model = ModelFile::read(&classifier(), None).unwrap();
        assert_eq!(model.feature_names.unwrap(), ["a", "b"]);
        let scores = &model.outputs[1];
        assert_eq!((scores.name.as_str(), scores.tensor.as_str()), ("scores", "raw"));
        assert_eq!(scores.labels.as_deref().unwrap(), ["cat", "dog"]);

        let again = ModelFile::read(&model.edited.unwrap(), None).unwrap();
        let names: Vec<_> = again.outputs.iter().map(|output| output.name.as_str()).collect();
        assert_eq!(names, ["label", "raw"]);
        assert!(again.edited.is_none());
    }

    #[test]
    fn outputs_can_be_chosen() {
        let model = ModelFile::read(&classifier(), Some(&["label".to_owned()])).unwrap();
        let again = ModelFile::read(&model.edited.unwrap(), None).unwrap();
        assert_eq!(again.outputs.len(), 1);
        let wrong = ModelFile::read(&classifier(), Some(&["nothing".to_owned()])).unwrap_err();
        assert!(matches!(wrong, ModelFileError::UnknownOutput { .. }));
    }

    #[test]
    fn every_cut_of_a_model_is_noticed() {
        let model = classifier();
        assert!(looks_like_onnx(&model));
        for end in 0..model.len() - 30 {
            let error = ModelFile::read(&model[..end], None).unwrap_err();
            assert!(
                matches!(
                    error,
                    ModelFileError::NoGraph | ModelFileError::Protobuf(ProtobufError::Truncated)
                ),
                "{end}: {error}"
            );
        }
    }

    #[test]
    fn other_files_are_told_apart() {
        for other in
            [&b"{\"learner\": {}}"[..], b"tree\nversion=v4", b"", b"\x08", b"PAR1", b"PK\x03\x04"]
        {
            assert!(!looks_like_onnx(other), "{other:?}");
        }
    }
}

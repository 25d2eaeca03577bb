//! The messages of an ONNX model, as far as tree ensembles need them. Field numbers are those of
//! <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

use crate::{
    protobuf::{Fields, Value},
    read::ReadError,
};

/// A `GraphProto`.
#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) constants: Vec<Tensor<'a>>,
    pub(super) inputs: Vec<Variable>,
    pub(super) outputs: Vec<Variable>,
}

/// A `NodeProto`.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) operator: String,
    pub(super) domain: String,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// An `AttributeProto`. Whichever of its fields is not used is empty.
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub(super) name: String,
    pub(super) float: Option<f32>,
    pub(super) int: Option<i64>,
    pub(super) text: Option<&'a [u8]>,
    pub(super) tensor: Option<Tensor<'a>>,
    pub(super) floats: Vec<f32>,
    pub(super) ints: Vec<i64>,
    pub(super) texts: Vec<&'a [u8]>,
}

/// A `TensorProto`, of the types that we read.
#[derive(Debug, Default)]
pub(super) struct Tensor<'a> {
    pub(super) name: String,
    pub(super) dimensions: Vec<i64>,
    pub(super) element: i64,
    raw: Option<&'a [u8]>,
    floats: Vec<f32>,
    doubles: Vec<f64>,
    ints: Vec<i64>,
    elsewhere: bool,
}

/// A `ValueInfoProto`: an input or output.
#[derive(Debug, Default)]
pub(super) struct Variable {
    pub(super) name: String,
    /// The type of the elements if it is a tensor, else 0.
    pub(super) element: i64,
    /// The tensor's dimensions, `None` where one is open; `None` if the rank is open too.
    pub(super) shape: Option<Vec<Option<usize>>>,
}

/// `TensorProto.DataType`.
pub(super) mod element {
    pub(in crate::onnx) const FLOAT: i64 = 1;
    pub(in crate::onnx) const UINT8: i64 = 2;
    pub(in crate::onnx) const INT64: i64 = 7;
    pub(in crate::onnx) const STRING: i64 = 8;
    pub(in crate::onnx) const DOUBLE: i64 = 11;
}

impl<'a> Graph<'a> {
    /// The graph of the model in `bytes`.
    pub(super) fn of_model(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let mut graph = None;
        for field in Fields::of(bytes) {
            let field = field?;
            match field.number {
                7 => graph = Some(field.bytes()?),
                25 => return Err(ReadError::Unsupported("functions of a model's own".to_owned())),
                _ => {}
            }
        }
        Self::read(graph.ok_or_else(|| ReadError::Absent { path: "graph".to_owned() })?)
    }

    fn read(message: &'a [u8]) -> Result<Self, ReadError> {
        let mut graph = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => graph.nodes.push(Node::read(field.bytes()?)?),
                5 => graph.constants.push(Tensor::read(field.bytes()?)?),
                11 => graph.inputs.push(Variable::read(field.bytes()?)?),
                12 => graph.outputs.push(Variable::read(field.bytes()?)?),
                _ => {}
            }
        }
        Ok(graph)
    }
}

impl<'a> Node<'a> {
    fn read(message: &'a [u8]) -> Result<Self, ReadError> {
        let mut node = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => node.inputs.push(field.text()?),
                2 => node.outputs.push(field.text()?),
                4 => node.operator = field.text()?,
                5 => node.attributes.push(Attribute::read(field.bytes()?)?),
                7 => node.domain = field.text()?,
                _ => {}
            }
        }
        Ok(node)
    }

    /// The attribute `name`.
    pub(super) fn find(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// The integers of the attribute `name`; none if it is absent.
    pub(super) fn ints(&self, name: &str) -> &[i64] {
        self.find(name).map_or(&[], |attribute| &attribute.ints)
    }

    /// The floats of the attribute `name`; none if it is absent.
    pub(super) fn floats(&self, name: &str) -> &[f32] {
        self.find(name).map_or(&[], |attribute| &attribute.floats)
    }

    /// The texts of the attribute `name`; none if it is absent.
    pub(super) fn texts(&self, name: &str) -> &[&'a [u8]] {
        self.find(name).map_or(&[], |attribute| &attribute.texts)
    }

    /// The integer of the attribute `name`.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.find(name)?.int
    }

    /// The text of the attribute `name`, or `default`.
    pub(super) fn text_or(&self, name: &str, default: &'static str) -> String {
        let text = self.find(name).and_then(|attribute| attribute.text);
        text.map_or_else(|| default.to_owned(), |text| String::from_utf8_lossy(text).into_owned())
    }

    /// The numbers of the attribute `name`, a tensor of floats or doubles; none if it is absent.
    pub(super) fn tensor_numbers(&self, name: &str) -> Result<Vec<f64>, ReadError> {
        match self.find(name) {
            None => Ok(Vec::new()),
            Some(Attribute { tensor: Some(tensor), .. }) => tensor.numbers(),
            Some(_) => Err(ReadError::Invalid {
                path: name.to_owned(),
                message: "expected a tensor".to_owned(),
            }),
        }
    }
}

impl<'a> Attribute<'a> {
    fn read(message: &'a [u8]) -> Result<Self, ReadError> {
        let mut attribute = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match (field.number, field.value) {
                (1, _) => attribute.name = field.text()?,
                (2, Value::Fixed32(bytes)) => attribute.float = Some(f32::from_le_bytes(bytes)),
                (3, Value::Varint(int)) => attribute.int = Some(int as i64),
                (4, _) => attribute.text = Some(field.bytes()?),
                (5, _) => attribute.tensor = Some(Tensor::read(field.bytes()?)?),
                (7, _) => attribute.floats.append(&mut field.floats()?),
                (8, _) => attribute.ints.append(&mut field.integers()?),
                (9, _) => attribute.texts.push(field.bytes()?),
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl<'a> Tensor<'a> {
    fn read(message: &'a [u8]) -> Result<Self, ReadError> {
        let mut tensor = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match (field.number, field.value) {
                (1, _) => tensor.dimensions.append(&mut field.integers()?),
                (2, Value::Varint(element)) => tensor.element = element as i64,
                (4, _) => tensor.floats.append(&mut field.floats()?),
                (5 | 7, _) => tensor.ints.append(&mut field.integers()?),
                (8, _) => tensor.name = field.text()?,
                (9, _) => tensor.raw = Some(field.bytes()?),
                (10, _) => tensor.doubles.append(&mut field.doubles()?),
                (13, _) | (14, Value::Varint(1)) => tensor.elsewhere = true,
                _ => {}
            }
        }
        Ok(tensor)
    }

    /// The elements of a tensor of floats or doubles.
    pub(super) fn numbers(&self) -> Result<Vec<f64>, ReadError> {
        let numbers: Vec<f64> = match (self.element, self.raw) {
            (element::FLOAT, Some(raw)) => {
                raw.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect()
            }
            (element::FLOAT, None) => self.floats.iter().copied().map(f64::from).collect(),
            (element::DOUBLE, Some(raw)) => {
                raw.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
            }
            (element::DOUBLE, None) => self.doubles.clone(),
            _ => return Err(self.wrong_type("numbers")),
        };
        self.counted(numbers)
    }

    /// The elements of a tensor of whole numbers.
    pub(super) fn integers(&self) -> Result<Vec<i64>, ReadError> {
        let integers = match (self.element, self.raw) {
            (element::INT64, Some(raw)) => {
                raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
            }
            (element::UINT8, Some(raw)) => raw.iter().copied().map(i64::from).collect(),
            (element::INT64 | element::UINT8, None) => self.ints.clone(),
            _ => return Err(self.wrong_type("whole numbers")),
        };
        self.counted(integers)
    }

    /// `elements`, if there are as many as the dimensions say.
    fn counted<T>(&self, elements: Vec<T>) -> Result<Vec<T>, ReadError> {
        if self.elsewhere {
            return Err(ReadError::Unsupported("weights in files beside the model".to_owned()));
        }
        let size = |size: usize, dimension: &i64| size.checked_mul((*dimension).try_into().ok()?);
        let expected = self.dimensions.iter().try_fold(1_usize, size);
        if expected == Some(elements.len()) {
            return Ok(elements);
        }
        let (shape, count) = (&self.dimensions, elements.len());
        Err(self.invalid(format!("{count} elements in a tensor of shape {shape:?}")))
    }

    fn wrong_type(&self, expected: &str) -> ReadError {
        self.invalid(format!("expected a tensor of {expected}, found type {}", self.element))
    }

    fn invalid(&self, message: String) -> ReadError {
        ReadError::Invalid { path: format!("tensor {}", self.name), message }
    }
}

impl Variable {
    fn read(message: &[u8]) -> Result<Self, ReadError> {
        let mut variable = Self::default();
        for field in Fields::of(message) {
            let field = field?;
            match field.number {
                1 => variable.name = field.text()?,
                2 => variable.read_type(field.bytes()?)?,
                _ => {}
            }
        }
        Ok(variable)
    }

    fn read_type(&mut self, message: &[u8]) -> Result<(), ReadError> {
        for field in Fields::of(message) {
            let field = field?;
            if field.number != 1 {
                continue;
            }
            for field in Fields::of(field.bytes()?) {
                let field = field?;
                match (field.number, field.value) {
                    (1, Value::Varint(element)) => self.element = element as i64,
                    (2, _) => self.shape = Some(shape(field.bytes()?)?),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// A `TensorShapeProto`.
fn shape(message: &[u8]) -> Result<Vec<Option<usize>>, ReadError> {
    let mut shape = Vec::new();
    for field in Fields::of(message) {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let mut size = None;
        for field in Fields::of(field.bytes()?) {
            let field = field?;
            if let (1, Value::Varint(dimension)) = (field.number, field.value) {
                size = usize::try_from(dimension as i64).ok();
            }
        }
        shape.push(size);
    }
    Ok(shape)
}

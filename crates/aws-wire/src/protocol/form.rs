//! The query protocol: a form of flat parameters to, XML fro.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    Operation, Request, Service, ServiceError,
    model::{Kind, Member, Shape},
    percent,
};

/// How many parts a parameter's name may have, and so how deep an input is.
const DEPTH: usize = 32;

/// The parameters as a tree: `A.member.1.B=x` is at `A`, `member`, `1`, `B`.
#[derive(Debug, Default)]
struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

pub(super) fn decode<'m>(
    service: &'m Service,
    request: &Request<'_>,
    body: &[u8],
) -> Result<(&'m Operation, Map<String, Value>), ServiceError> {
    let body = std::str::from_utf8(body).map_err(|_| malformed("the form is no UTF-8"))?;
    let form = if request.is_form() { body } else { "" };
    let mut root = Node::default();
    for (name, value) in percent::parameters(request.query).chain(percent::parameters(form)) {
        let (Ok(name), Ok(value)) = (String::from_utf8(name), String::from_utf8(value)) else {
            return Err(malformed("a parameter is no UTF-8"));
        };
        root.insert(&name, value)?;
    }
    let action = root.children.get("Action").and_then(|node| node.value.as_deref());
    let Some(action) = action else {
        return Err(ServiceError::new("MissingAction", "Missing Action"));
    };
    let version = root.children.get("Version").and_then(|node| node.value.as_deref());
    if version.is_some_and(|version| version != service.version()) {
        let version = version.unwrap_or_default();
        return Err(ServiceError::new(
            "InvalidAction",
            format!("Could not find operation {action} for version {version}"),
        ));
    }
    let operation = service.operation(action).ok_or_else(|| service.no_operation(action))?;
    let input = service.input(operation).map(|shape| structure(service, shape, &root));
    Ok((operation, input.transpose()?.unwrap_or_default()))
}

fn malformed(message: impl Into<String>) -> ServiceError {
    ServiceError::new("MalformedInput", message)
}

impl Node {
    fn insert(&mut self, name: &str, value: String) -> Result<(), ServiceError> {
        let mut node = self;
        for (depth, part) in name.split('.').enumerate() {
            if depth == DEPTH {
                return Err(malformed("a parameter's name has too many parts"));
            }
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.value = Some(value);
        Ok(())
    }

    /// The children that are numbered, in the order of their numbers.
    fn numbered(&self) -> Vec<&Self> {
        let numbered = self.children.iter();
        let mut numbered: Vec<(u64, &Self)> =
            numbered.filter_map(|(name, node)| Some((name.parse().ok()?, node))).collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, node)| node).collect()
    }
}

fn structure(
    service: &Service,
    shape: &Shape,
    node: &Node,
) -> Result<Map<String, Value>, ServiceError> {
    let mut object = Map::new();
    for (name, member) in &shape.members {
        if let Some(node) = place(service, member, name, node) {
            // The value is coerced afterwards, which looks for the name of JSON.
            let value = value(service, member, node)?;
            object.insert(member.wire_name(name).to_owned(), value);
        }
    }
    Ok(object)
}

/// Where a member is: flattened lists go by the name of their elements.
fn place<'n>(service: &Service, member: &Member, name: &str, node: &'n Node) -> Option<&'n Node> {
    let shape = service.shape(&member.shape);
    let flattened = shape.kind == Kind::List && (shape.flattened || member.flattened);
    let element = shape.member.as_ref().filter(|_| flattened);
    let element = element.and_then(|element| element.location_name.as_deref());
    let named = node.children.get(element.unwrap_or_else(|| member.query_name(name)));
    named.or_else(|| node.children.get(member.wire_name(name)))
}

fn value(service: &Service, member: &Member, node: &Node) -> Result<Value, ServiceError> {
    let shape = service.shape(&member.shape);
    match shape.kind {
        Kind::Structure => Ok(Value::Object(structure(service, shape, node)?)),
        Kind::List => list(service, shape, member, node),
        Kind::Map => map(service, shape, member, node),
        kind => scalar(kind, node.value.as_deref().unwrap_or_default()),
    }
}

fn list(
    service: &Service,
    shape: &Shape,
    member: &Member,
    node: &Node,
) -> Result<Value, ServiceError> {
    let Some(element) = &shape.member else { return Ok(Value::Array(Vec::new())) };
    let flattened = shape.flattened || member.flattened;
    let elements =
        if flattened { Some(node) } else { node.children.get(element.wire_name("member")) };
    let elements = elements.map(Node::numbered).unwrap_or_default();
    let values = elements.into_iter().map(|node| value(service, element, node));
    Ok(Value::Array(values.collect::<Result<_, _>>()?))
}

fn map(
    service: &Service,
    shape: &Shape,
    member: &Member,
    node: &Node,
) -> Result<Value, ServiceError> {
    let (Some(key), Some(element)) = (&shape.key, &shape.value) else {
        return Ok(Value::Object(Map::new()));
    };
    let flattened = shape.flattened || member.flattened;
    let entries = if flattened { Some(node) } else { node.children.get("entry") };
    let mut object = Map::new();
    for entry in entries.map(Node::numbered).unwrap_or_default() {
        let name = entry.children.get(key.wire_name("key")).and_then(|node| node.value.clone());
        let name = name.ok_or_else(|| malformed("a map's entry has no key"))?;
        if let Some(node) = entry.children.get(element.wire_name("value")) {
            object.insert(name, value(service, element, node)?);
        }
    }
    Ok(Value::Object(object))
}

/// A parameter as the JSON that its type has.
pub(super) fn scalar(kind: Kind, text: &str) -> Result<Value, ServiceError> {
    let number = || text.parse::<f64>().ok().and_then(|number| text_number(text, number));
    let value = match kind {
        Kind::Boolean => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Byte | Kind::Short | Kind::Integer | Kind::Long | Kind::BigInteger => {
            text.parse::<i64>().ok().map(Value::from)
        }
        Kind::Float | Kind::Double | Kind::BigDecimal => number(),
        _ => Some(Value::from(text)),
    };
    value.ok_or_else(|| malformed(format!("'{text}' is not of the type that is expected")))
}

/// JSON has no name for the numbers that are none: they stay text.
fn text_number(text: &str, number: f64) -> Option<Value> {
    let finite = serde_json::Number::from_f64(number).map(Value::Number);
    finite.or_else(|| Some(Value::from(text)))
}

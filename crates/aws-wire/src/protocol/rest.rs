//! The REST protocols: the operation is known by method and path, members are all over the
//! request.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde_json::{Map, Value};

use super::{form::scalar, json};
use crate::{
    Operation, Request, Service, ServiceError,
    model::{Kind, Location, Member, Route, Segment, Shape},
    percent,
};

pub(super) fn decode<'m>(
    service: &'m Service,
    request: &Request<'_>,
    body: &[u8],
) -> Result<(&'m Operation, Map<String, Value>), ServiceError> {
    let segments: Vec<&str> =
        request.path.split('/').filter(|segment| !segment.is_empty()).collect();
    let supported = service.operations().iter().map(|operation| (operation, operation.route()));
    let supported = best(supported, request, &segments);
    let unsupported =
        best(service.unsupported().iter().map(|(name, route)| (name, route)), request, &segments);
    let literals = |found: &Option<(usize, _)>| found.as_ref().map(|(literals, _)| *literals);
    let (operation, labels) = match (supported, unsupported) {
        (None, None) => {
            return Err(ServiceError::bare("UnknownOperationException").with_status(404));
        }
        (supported, Some((at, (name, _)))) if literals(&supported).is_none_or(|own| own < at) => {
            return Err(service.unsupported_operation(name));
        }
        (Some((_, found)), _) => found,
        (None, Some((_, (name, _)))) => return Err(service.unsupported_operation(name)),
    };
    let input = match service.input(operation) {
        Some(shape) => Binding { service, request, shape, labels }.input(body)?,
        None => Map::new(),
    };
    Ok((operation, input))
}

type Labels = Vec<(String, String)>;

/// The route that fits best: the one with the most literal parts.
fn best<'m, T>(
    routes: impl Iterator<Item = (T, &'m Route)>,
    request: &Request<'_>,
    segments: &[&str],
) -> Option<(usize, (T, Labels))> {
    let fitting = routes.filter_map(|(found, route)| {
        let labels = labels(route, request, segments)?;
        let literal = |segment: &&Segment| matches!(segment, Segment::Literal(_));
        let literals = route.segments.iter().filter(literal).count() + route.query.len();
        Some((literals, (found, labels)))
    });
    fitting.max_by_key(|(literals, _)| *literals)
}

/// The labels of a path, if the route fits the request.
fn labels(route: &Route, request: &Request<'_>, segments: &[&str]) -> Option<Labels> {
    if route.method != request.method.as_str() {
        return None;
    }
    let has = |name: &str, value: &Option<String>| {
        percent::parameters(request.query).any(|(key, found)| {
            let wanted = value.as_ref().is_none_or(|value| value.as_bytes() == found);
            key == name.as_bytes() && wanted
        })
    };
    if !route.query.iter().all(|(name, value)| has(name, value)) {
        return None;
    }
    let decoded = |text: &str| String::from_utf8(percent::decode(text)).ok();
    let mut rest = segments;
    let mut labels = Vec::new();
    for segment in &route.segments {
        let (first, others) = rest.split_first()?;
        match segment {
            Segment::Literal(literal) if decoded(first)? == *literal => rest = others,
            Segment::Literal(_) => return None,
            Segment::Label(name) => {
                labels.push((name.clone(), decoded(first)?));
                rest = others;
            }
            Segment::Greedy(name) => {
                labels.push((name.clone(), decoded(&rest.join("/"))?));
                rest = &[];
            }
        }
    }
    rest.is_empty().then_some(labels)
}

struct Binding<'a, 'm> {
    service: &'m Service,
    request: &'a Request<'a>,
    shape: &'m Shape,
    labels: Labels,
}

impl Binding<'_, '_> {
    fn input(&self, body: &[u8]) -> Result<Map<String, Value>, ServiceError> {
        let mut input = self.body(body)?;
        for (name, member) in self.shape.members.iter().filter(|(_, m)| m.location.is_some()) {
            // Nothing in the body stands for a member that has its place elsewhere.
            input.remove(name);
            if let Some(value) = self.located(name, member)? {
                input.insert(name.clone(), value);
            }
        }
        Ok(input)
    }

    fn body(&self, body: &[u8]) -> Result<Map<String, Value>, ServiceError> {
        let Some(payload) = &self.shape.payload else {
            let any = self.shape.members.iter().any(|(_, member)| member.location.is_none());
            return if any { json::object(body) } else { Ok(Map::new()) };
        };
        let Some(member) = self.shape.member_named(payload) else { return Ok(Map::new()) };
        let value = match self.service.shape(&member.shape).kind {
            _ if body.is_empty() => return Ok(Map::new()),
            Kind::Blob => Value::from(STANDARD.encode(body)),
            Kind::String => Value::from(String::from_utf8_lossy(body)),
            _ => Value::Object(json::object(body)?),
        };
        Ok(Map::from_iter([(member.wire_name(payload).to_owned(), value)]))
    }

    fn located(&self, name: &str, member: &Member) -> Result<Option<Value>, ServiceError> {
        let wire_name = member.wire_name(name);
        let shape = self.service.shape(&member.shape);
        match member.location {
            Some(Location::Uri) => {
                let label = self.labels.iter().find(|(label, _)| label == wire_name);
                label.map(|(_, value)| scalar(shape.kind, value)).transpose()
            }
            Some(Location::Query) => self.query(wire_name, shape),
            Some(Location::Header) => {
                let value = self.request.header(wire_name);
                value.map(|value| scalar(shape.kind, value.trim())).transpose()
            }
            Some(Location::Headers) => Ok(self.prefixed(wire_name)),
            Some(Location::StatusCode) | None => Ok(None),
        }
    }

    fn query(&self, name: &str, shape: &Shape) -> Result<Option<Value>, ServiceError> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let parameters =
            percent::parameters(self.request.query).map(|(name, value)| (text(name), text(value)));
        if shape.kind == Kind::Map {
            let declared = |other: &String| {
                let own = |(_, member): &(String, Member)| member.wire_name("") == other;
                self.shape.members.iter().any(own)
            };
            let others = parameters.filter(|(other, _)| !declared(other));
            let others: Map<String, Value> =
                others.map(|(name, value)| (name, Value::from(value))).collect();
            return Ok((!others.is_empty()).then_some(Value::Object(others)));
        }
        let mut own = parameters.filter(|(other, _)| other == name).map(|(_, value)| value);
        if shape.kind != Kind::List {
            return own.next().map(|value| scalar(shape.kind, &value)).transpose();
        }
        let element = shape.member.as_ref().map(|member| self.service.shape(&member.shape).kind);
        let values = own.map(|value| scalar(element.unwrap_or(Kind::String), &value));
        let values = values.collect::<Result<Vec<Value>, _>>()?;
        Ok((!values.is_empty()).then_some(Value::Array(values)))
    }

    /// The headers of a prefix as a map, by what follows the prefix.
    fn prefixed(&self, prefix: &str) -> Option<Value> {
        let prefix = prefix.to_ascii_lowercase();
        let own = self.request.headers.iter().filter_map(|(name, value): (_, &HeaderValue)| {
            let name = name.as_str().strip_prefix(prefix.as_str())?;
            Some((name.to_owned(), Value::from(value.to_str().ok()?)))
        });
        let own: Map<String, Value> = own.collect();
        (!own.is_empty()).then_some(Value::Object(own))
    }
}

//! Matches what the model reads with the columns that the input has, before any work.

use arrow::{
    compute::can_cast_types,
    datatypes::{DataType, Field, SchemaRef},
};
use bessemer_domain::nearest_names;

use super::prepare::Preparer;
use crate::{
    error::TransformError,
    model::{Feature, TextFormat, Wants},
    records::Lines,
    settings::Settings,
    text::{
        detect::Format,
        to_columns::{ColumnReader, SourceKind, WantedField},
    },
};

const NAME_FEATURES: &str = "name the model's features in its order with `--features A,B,…`";

/// How a file's records are brought into the model's form.
#[derive(Debug)]
pub(crate) struct Binding {
    /// The input's root columns that the model reads, in its order.
    pub(crate) columns: Vec<usize>,
    pub(crate) preparer: Preparer,
}

/// What is known of an input's columns. Of text: what a sample shows.
pub(crate) struct InputColumns<'a> {
    pub(crate) format: Format,
    pub(crate) schema: &'a SchemaRef,
    pub(crate) header: Option<&'a [String]>,
    /// The sample, empty for Parquet.
    pub(crate) sample: &'a Lines,
}

/// Binds the model's wants to an input's columns.
pub(crate) fn bind(
    wants: &Wants,
    input: &InputColumns<'_>,
    settings: &Settings,
) -> Result<Binding, TransformError> {
    let kind = match input.format {
        Format::Parquet => None,
        Format::JsonLines => Some(SourceKind::JsonLines),
        Format::Csv => Some(SourceKind::Csv),
        Format::Lines => return bind_lines(wants),
    };
    if kind.is_some() && input.sample.is_empty() && input.schema.fields().is_empty() {
        // A file without records has no columns to look for.
        return Ok(untouched());
    }
    match (wants, kind) {
        (Wants::Text(TextFormat::Raw), Some(_)) => Ok(untouched()),
        (Wants::Text(TextFormat::JsonLines), Some(SourceKind::JsonLines))
        | (Wants::Text(TextFormat::Csv), Some(SourceKind::Csv))
            if settings.features.is_none() =>
        {
            Ok(untouched())
        }
        (Wants::Features(features), kind) => bind_features(features, input, kind, settings),
        (Wants::Columns, kind) => bind_columns(input, kind, settings, None),
        (Wants::Text(TextFormat::Raw), None) => {
            Err(TransformError::configuration("a model that takes raw lines can't read Parquet")
                .with_hint("choose another `--content-type`, such as application/jsonlines"))
        }
        (Wants::Text(format), kind) => bind_columns(input, kind, settings, Some(*format)),
    }
}

/// Binds the model's wants to what `--input-filter` leaves of each record: JSON whose members are
/// known only when they come.
pub(crate) fn bind_documents(
    wants: &Wants,
    format: Format,
    settings: &Settings,
) -> Result<Binding, TransformError> {
    let features = match wants {
        Wants::Text(_) => return Ok(untouched()),
        Wants::Features(features) if format != Format::Csv => features,
        Wants::Features(_) | Wants::Columns => {
            return Err(TransformError::configuration(
                "filters need a model that takes text, or one that names its features and JSON or \
                 Parquet input",
            )
            .with_hint("use `--features` and `--join` in the place of filters"));
        }
    };
    let names = settings.features.as_deref().unwrap_or_default();
    let named = |position: usize, feature: &Feature| {
        names.get(position).cloned().or_else(|| feature.name.clone())
    };
    let features = with_nulls(features, settings);
    let fields: Vec<_> = features
        .iter()
        .enumerate()
        .map(|(position, feature)| {
            feature_field(named(position, feature), position, feature, settings)
        })
        .collect();
    let reader = ColumnReader::new(&fields, SourceKind::JsonLines);
    let preparer = Preparer::LinesToColumns { reader, features, then: None };
    Ok(Binding { columns: Vec::new(), preparer })
}

/// The features, where a null may stand for NaN in those that the settings let it.
fn with_nulls(features: &[Feature], settings: &Settings) -> Vec<Feature> {
    let nullable = |feature: &Feature| {
        feature.nullable || (settings.nulls_as_nan && feature.data_type.is_floating())
    };
    features
        .iter()
        .map(|feature| Feature { nullable: nullable(feature), ..feature.clone() })
        .collect()
}

/// What to read of text for a feature. A record that lacks it is a reject, even where null is a
/// missing value, unless the settings count absent values as null.
fn feature_field(
    name: Option<String>,
    position: usize,
    feature: &Feature,
    settings: &Settings,
) -> WantedField {
    WantedField {
        name,
        position,
        data_type: feature.data_type.clone(),
        nullable: feature.nullable,
        optional: settings.nulls_as_nan,
    }
}

fn untouched() -> Binding {
    Binding { columns: Vec::new(), preparer: Preparer::LinesAsTheyAre }
}

fn bind_lines(wants: &Wants) -> Result<Binding, TransformError> {
    match wants {
        Wants::Text(_) => Ok(untouched()),
        Wants::Features(_) | Wants::Columns => Err(TransformError::configuration(
            "the model reads columns, which plain lines don't have",
        )
        .with_hint("if the lines are JSON or CSV say so with `--input-format jsonl` or `csv`")),
    }
}

fn bind_features(
    features: &[Feature],
    input: &InputColumns<'_>,
    kind: Option<SourceKind>,
    settings: &Settings,
) -> Result<Binding, TransformError> {
    let features = with_nulls(features, settings);
    if let Some(SourceKind::JsonLines) = kind
        && holds_arrays(input.sample)
    {
        let fields: Vec<_> = features
            .iter()
            .enumerate()
            .map(|(position, feature)| feature_field(None, position, feature, settings))
            .collect();
        let reader = ColumnReader::new(&fields, SourceKind::JsonLines);
        let preparer = Preparer::LinesToColumns { reader, features, then: None };
        return Ok(Binding { columns: Vec::new(), preparer });
    }
    let columns = find_features(&features, input, settings)?;
    for (feature, &column) in features.iter().zip(&columns) {
        let field = input.schema.field(column);
        if kind.is_none() && !can_cast_types(field.data_type(), &feature.data_type) {
            return Err(TransformError::configuration(format!(
                "column `{}` is of type {}, which can't be converted to the {} that the model reads",
                field.name(),
                field.data_type(),
                feature.data_type
            )));
        }
    }
    let preparer = match kind {
        None => Preparer::Select { features },
        Some(kind) => {
            let name = |position: usize| Some(input.schema.field(position).name().clone());
            let fields: Vec<_> = features
                .iter()
                .zip(&columns)
                .map(|(feature, &at)| feature_field(name(at), at, feature, settings))
                .collect();
            let reader = ColumnReader::new(&fields, kind);
            Preparer::LinesToColumns { reader, features, then: None }
        }
    };
    Ok(Binding { columns, preparer })
}

fn bind_columns(
    input: &InputColumns<'_>,
    kind: Option<SourceKind>,
    settings: &Settings,
    then: Option<TextFormat>,
) -> Result<Binding, TransformError> {
    let columns = match &settings.features {
        Some(names) => find_named(names.iter().map(String::as_str), input.schema)?,
        None => (0..input.schema.fields().len()).collect(),
    };
    let preparer = match kind {
        None => Preparer::Whole { then },
        Some(kind) => {
            // A model that names no features takes records as they are; `--features` names some.
            let optional = settings.features.is_none() || settings.nulls_as_nan;
            let field = |&position: &usize| WantedField {
                optional,
                ..wanted(position, input.schema, input.sample)
            };
            let fields: Vec<_> = columns.iter().map(field).collect();
            let reader = ColumnReader::new(&fields, kind);
            Preparer::LinesToColumns { reader, features: Vec::new(), then }
        }
    };
    Ok(Binding { columns, preparer })
}

/// Column `position` of `schema`, of the type that it has there. Records that are JSON arrays have no
/// names.
pub(crate) fn wanted(position: usize, schema: &SchemaRef, sample: &Lines) -> WantedField {
    let field: &Field = schema.field(position);
    WantedField {
        name: (!holds_arrays(sample)).then(|| field.name().clone()),
        position,
        data_type: field.data_type().clone(),
        nullable: true,
        optional: true,
    }
}

fn holds_arrays(sample: &Lines) -> bool {
    sample.iter().next().is_some_and(|line| line.trim_ascii_start().starts_with(b"["))
}

fn find_features(
    features: &[Feature],
    input: &InputColumns<'_>,
    settings: &Settings,
) -> Result<Vec<usize>, TransformError> {
    if let Some(names) = &settings.features {
        if names.len() != features.len() {
            return Err(TransformError::configuration(format!(
                "`--features` names {} columns, the model reads {}",
                names.len(),
                features.len()
            )));
        }
        return find_named(names.iter().map(String::as_str), input.schema);
    }
    let names: Option<Vec<&str>> = features.iter().map(|feature| feature.name.as_deref()).collect();
    let positional = input.format == Format::Csv && input.header.is_none();
    match names {
        Some(names) if !positional => find_named(names.into_iter(), input.schema),
        _ => find_by_order(features, input.schema),
    }
}

fn find_by_order(features: &[Feature], schema: &SchemaRef) -> Result<Vec<usize>, TransformError> {
    let count = features.len();
    if schema.fields().len() == count {
        return Ok((0..count).collect());
    }
    let text = features.iter().any(|feature| !is_number(&feature.data_type));
    let numeric: Vec<usize> =
        (0..schema.fields().len()).filter(|&at| is_number(schema.field(at).data_type())).collect();
    if numeric.len() == count && !text {
        return Ok(numeric);
    }
    Err(TransformError::configuration(format!(
        "the model reads {count} features and does not name them; the input has {} columns, {} of \
         them numeric: {}",
        schema.fields().len(),
        numeric.len(),
        list_names(schema)
    ))
    .with_hint(NAME_FEATURES))
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || *data_type == DataType::Boolean
}

/// The positions of the columns `names`; an error that names every one that is missing.
pub(crate) fn find_named<'a>(
    names: impl Iterator<Item = &'a str>,
    schema: &SchemaRef,
) -> Result<Vec<usize>, TransformError> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for name in names {
        match schema.index_of(name) {
            Ok(position) => found.push(position),
            Err(_) => missing.push(name),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    let known = || schema.fields().iter().map(|field| field.name().as_str());
    let described: Vec<String> = missing
        .iter()
        .take(10)
        .map(|name| match nearest_names(name, known(), 2).as_slice() {
            [] => format!("`{name}`"),
            near => format!("`{name}` (near: `{}`)", near.join("`, `")),
        })
        .collect();
    let more = if missing.len() > 10 { " …" } else { "" };
    Err(TransformError::configuration(format!(
        "the input lacks {} of the columns that are read: {}{more}; it has: {}",
        missing.len(),
        described.join(", "),
        list_names(schema)
    ))
    .with_hint(NAME_FEATURES))
}

fn list_names(schema: &SchemaRef) -> String {
    const MOST: usize = 40;
    let mut names: Vec<&str> =
        schema.fields().iter().take(MOST).map(|field| field.name().as_str()).collect();
    if schema.fields().len() > MOST {
        names.push("…");
    }
    if names.is_empty() { "none".to_owned() } else { format!("`{}`", names.join("`, `")) }
}

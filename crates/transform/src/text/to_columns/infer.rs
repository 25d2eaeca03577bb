//! What the columns of text records are, judged by a sample.

use arrow::{
    compute::kernels::cast_utils::Parser,
    datatypes::{DataType, Date32Type, Field, Fields, Schema, TimeUnit, TimestampMicrosecondType},
};

use super::SourceKind;
use crate::{
    records::Lines,
    text::{
        csv,
        json::{self, Scanner, SyntaxError},
    },
};

/// The columns of the records that `sample` shows. `header` names a CSV file's columns; columns
/// without a name are `column_0`, `column_1` and so on. All columns are nullable.
///
/// JSON numbers are int64 where the whole sample is, else float64; arrays are lists and objects
/// structs; values of several kinds in one member, and members that are always null, are utf8. CSV
/// cells are int64 (without leading zeros, which only identifiers have), float64, bool, date,
/// timestamp or utf8.
#[must_use]
pub fn infer_schema(kind: SourceKind, sample: &Lines, header: Option<&[String]>) -> Schema {
    match kind {
        SourceKind::JsonLines => infer_json(sample),
        SourceKind::Csv => infer_csv(sample, header),
    }
}

fn unnamed(position: usize) -> String {
    format!("column_{position}")
}

fn infer_json(sample: &Lines) -> Schema {
    let mut all = Guess::Null;
    for record in sample.iter() {
        // Broken records are rejected when they are read.
        let Some(guess) = Guess::of_record(record) else { continue };
        match (&all, &guess) {
            (Guess::Null, _)
            | (Guess::Members(_), Guess::Members(_))
            | (Guess::Places(_), Guess::Places(_)) => all = all.merge(guess),
            // Records of another shape than the first cannot be read together with it.
            _ => {}
        }
    }
    let Guess::Members(members) = all.named() else { return Schema::empty() };
    let fields = members
        .into_iter()
        .map(|(name, guess)| Field::new(name, guess.data_type(NumberTypes::IntegersApart), true));
    Schema::new(fields.collect::<Fields>())
}

/// What a JSON value, or several values of one member, are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Guess {
    /// Nothing but null so far.
    Null,
    Bool,
    Int,
    Float,
    /// Text, or values that have no type in common.
    Text,
    List(Box<Guess>),
    /// An object's members, in the order in which they were first seen.
    Members(Vec<(String, Guess)>),
    /// The elements of a record that is an array, one a column.
    Places(Vec<Guess>),
}

/// How numbers are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberTypes {
    /// int64 where all are integers, else float64; what is always null is utf8.
    IntegersApart,
    /// Always float64; so is what is always null.
    Float64,
}

impl Guess {
    /// What `record` is, an array taken as one column an element. `None` for a record that is broken
    /// or neither array nor object.
    fn of_record(record: &[u8]) -> Option<Self> {
        if !json::is_value(record) {
            return None;
        }
        let mut json = Scanner::new(record);
        match json.peek()? {
            b'{' => Self::of_next(&mut json).ok(),
            b'[' => Self::of_elements(&mut json).ok().map(Self::Places),
            _ => None,
        }
    }

    /// What the value `text` is; `None` if it is broken.
    pub(crate) fn of_value(text: &[u8]) -> Option<Self> {
        // Bounds the nesting, and so the recursion.
        json::is_value(text).then(|| Self::of_next(&mut Scanner::new(text)).ok()).flatten()
    }

    fn of_next(json: &mut Scanner<'_>) -> Result<Self, SyntaxError> {
        Ok(match json.peek() {
            Some(b'{') => Self::Members(Self::of_members(json)?),
            Some(b'[') => {
                let elements = Self::of_elements(json)?;
                Self::List(Box::new(elements.into_iter().fold(Self::Null, Self::merge)))
            }
            Some(b'"') => {
                json.string()?;
                Self::Text
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = json.number()?;
                let is_int64 = number.is_integer()
                    && number.to_i128().is_some_and(|value| i64::try_from(value).is_ok());
                if is_int64 { Self::Int } else { Self::Float }
            }
            Some(b'n') => {
                json.literal("null")?;
                Self::Null
            }
            _ => {
                json.skip_value()?;
                Self::Bool
            }
        })
    }

    fn of_elements(json: &mut Scanner<'_>) -> Result<Vec<Self>, SyntaxError> {
        json.open_array()?;
        let mut first = true;
        let mut elements = Vec::new();
        while json.next_element(&mut first)? {
            elements.push(Self::of_next(json)?);
        }
        Ok(elements)
    }

    fn of_members(json: &mut Scanner<'_>) -> Result<Vec<(String, Self)>, SyntaxError> {
        json.open_object()?;
        let mut first = true;
        let mut members = Vec::new();
        while let Some(name) = json.next_member(&mut first)? {
            let guess = Self::of_next(json)?;
            if let Some(name) = name.unescape() {
                merge_member(&mut members, name.into_owned(), guess);
            }
        }
        Ok(members)
    }

    /// What both are.
    pub(crate) fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Null, other) | (other, Self::Null) => other,
            (Self::Int, Self::Int) => Self::Int,
            (Self::Int | Self::Float, Self::Int | Self::Float) => Self::Float,
            (Self::Bool, Self::Bool) => Self::Bool,
            (Self::List(one), Self::List(two)) => Self::List(Box::new(one.merge(*two))),
            (Self::Members(mut one), Self::Members(two)) => {
                for (place, (name, guess)) in two.into_iter().enumerate() {
                    merge_member_at(&mut one, place, name, guess);
                }
                Self::Members(one)
            }
            (Self::Places(mut one), Self::Places(two)) => {
                one.resize(one.len().max(two.len()), Self::Null);
                for (mine, guess) in one.iter_mut().zip(two) {
                    *mine = std::mem::replace(mine, Self::Null).merge(guess);
                }
                Self::Places(one)
            }
            _ => Self::Text,
        }
    }

    /// Places as members that are named by their number.
    fn named(self) -> Self {
        match self {
            Self::Places(places) => {
                let name = |(place, guess)| (unnamed(place), guess);
                Self::Members(places.into_iter().enumerate().map(name).collect())
            }
            other => other,
        }
    }

    /// The Arrow type for it.
    pub(crate) fn data_type(self, numbers: NumberTypes) -> DataType {
        match (self, numbers) {
            (Self::Bool, _) => DataType::Boolean,
            (Self::Int, NumberTypes::IntegersApart) => DataType::Int64,
            (Self::Int | Self::Float, _) | (Self::Null, NumberTypes::Float64) => DataType::Float64,
            (Self::List(items), _) => {
                DataType::List(Field::new_list_field(items.data_type(numbers), true).into())
            }
            // A struct without members has no place in a file: such objects stay text.
            (Self::Members(members), _) if !members.is_empty() => {
                let fields = members
                    .into_iter()
                    .map(|(name, guess)| Field::new(name, guess.data_type(numbers), true));
                DataType::Struct(fields.collect())
            }
            _ => DataType::Utf8,
        }
    }
}

fn merge_member(members: &mut Vec<(String, Guess)>, name: String, guess: Guess) {
    merge_member_at(members, members.len(), name, guess);
}

/// Merges one member, which most likely stands at `place`.
fn merge_member_at(members: &mut Vec<(String, Guess)>, place: usize, name: String, guess: Guess) {
    let has_name = |place: &usize| members.get(*place).is_some_and(|(known, _)| *known == name);
    let found = Some(place)
        .filter(has_name)
        .or_else(|| members.iter().position(|(known, _)| *known == name));
    match found {
        Some(place) => {
            let known = &mut members[place].1;
            *known = std::mem::replace(known, Guess::Null).merge(guess);
        }
        None => members.push((name, guess)),
    }
}

fn infer_csv(sample: &Lines, header: Option<&[String]>) -> Schema {
    let first_row = || sample.iter().next().map_or(0, |record| csv::cells(record).count());
    let columns = header.map_or_else(first_row, <[String]>::len);
    let mut types: Vec<Option<DataType>> = vec![None; columns];
    for record in sample.iter() {
        if csv::count_cells(record) != Some(columns) {
            continue;
        }
        for (known, cell) in types.iter_mut().zip(csv::cells(record)) {
            let text = cell.text();
            if !text.trim_ascii().is_empty() {
                *known = Some(merge_cells(known.take(), cell_type(&text)));
            }
        }
    }
    let fields = types.into_iter().enumerate().map(|(place, data_type)| {
        let name =
            header.and_then(|names| names.get(place).cloned()).unwrap_or_else(|| unnamed(place));
        Field::new(name, data_type.unwrap_or(DataType::Utf8), true)
    });
    Schema::new(fields.collect::<Fields>())
}

fn cell_type(text: &[u8]) -> DataType {
    let Ok(text) = std::str::from_utf8(text.trim_ascii()) else { return DataType::Utf8 };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits && digits.len() > 1 && digits.starts_with('0') {
        return DataType::Utf8;
    }
    if all_digits && text.parse::<i64>().is_ok() {
        return DataType::Int64;
    }
    if text.parse::<f64>().is_ok() {
        return DataType::Float64;
    }
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        return DataType::Boolean;
    }
    // The parsers also take forms that no one means as a date.
    let looks_like_date =
        text.len() >= 8 && digits.contains('-') && text.starts_with(|c: char| c.is_ascii_digit());
    if looks_like_date && text.len() <= 10 && Date32Type::parse(text).is_some() {
        return DataType::Date32;
    }
    if looks_like_date && TimestampMicrosecondType::parse(text).is_some() {
        return DataType::Timestamp(TimeUnit::Microsecond, None);
    }
    DataType::Utf8
}

fn merge_cells(known: Option<DataType>, cell: DataType) -> DataType {
    match (known, cell) {
        (None, cell) => cell,
        (Some(known), cell) if known == cell => cell,
        (Some(DataType::Int64 | DataType::Float64), DataType::Int64 | DataType::Float64) => {
            DataType::Float64
        }
        (
            Some(DataType::Date32 | DataType::Timestamp(..)),
            DataType::Date32 | DataType::Timestamp(..),
        ) => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Utf8,
    }
}

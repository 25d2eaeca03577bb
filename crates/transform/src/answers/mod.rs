//! Turns a model's JSON answers into columns.
//!
//! An object gives a column a member; a number, text or array gives the column `prediction`. Unless
//! the user gives the schema, the first answer that says something sets it, for the whole run.

use std::sync::{Arc, OnceLock};

use arrow::{
    datatypes::{Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use bessemer_domain::RejectClass;

use crate::{
    records::Lines,
    text::{
        to_columns::{Fault, Guess, Layout, NumberTypes, RowError, Rows, Wanted, batch, schema_of},
        type_names::{SchemaTextError, parse_schema, type_name},
    },
};

/// The column of an answer that is no object.
const PREDICTION: &str = "prediction";

/// Decodes the answers of one run, from many threads.
#[derive(Debug, Default)]
pub struct AnswerDecoder {
    plan: OnceLock<Plan>,
}

/// The columns, once they are known.
#[derive(Debug)]
struct Plan {
    layout: Layout,
    schema: SchemaRef,
    /// Whether there is one column, whose value an answer is; else, an array has a value a column.
    single: bool,
}

impl Plan {
    fn new(schema: &Schema) -> Self {
        let wanted: Vec<Wanted> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(position, field)| Wanted {
                name: Some(field.name().clone()),
                position,
                data_type: field.data_type().clone(),
                nullable: true,
                optional: true,
            })
            .collect();
        let schema = schema_of(&wanted);
        let single = wanted.len() == 1;
        Self { layout: Layout::new(wanted), schema, single }
    }
}

impl AnswerDecoder {
    /// A decoder for answers of `schema`, or of the schema that the first answer shows.
    #[must_use]
    pub fn new(schema: Option<Schema>) -> Self {
        let decoder = Self::default();
        if let Some(schema) = schema {
            decoder.plan.get_or_init(|| Plan::new(&schema));
        }
        decoder
    }

    /// The output columns, once they are known.
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.plan.get().map(|plan| &plan.schema)
    }

    /// Fixes the columns to `schema`, unless they are known; returns those that hold.
    pub fn settle(&self, schema: &Schema) -> &SchemaRef {
        &self.plan.get_or_init(|| Plan::new(schema)).schema
    }

    /// One row an answer, in order. Answers that do not fit are rows of nulls with an error of class
    /// `Output`. While no answer has shown the schema, the batch has no columns.
    pub fn decode(&self, answers: &Lines) -> (RecordBatch, Vec<(usize, RowError)>) {
        let Some(plan) = self.plan.get().or_else(|| self.learn(answers)) else {
            return undecided(answers);
        };
        let mut rows = Rows::new(&plan.layout, answers.len(), true);
        let mut errors = Vec::new();
        for (index, answer) in answers.iter().enumerate() {
            if let Err(fault) = plan.push(answer, &mut rows) {
                errors.push((index, plan.error(fault)));
            }
        }
        (batch(&plan.schema, rows.finish(), answers.len()), errors)
    }

    /// Sets the schema by these answers, if they show one.
    fn learn(&self, answers: &Lines) -> Option<&Plan> {
        let schema = guess_schema(answers)?;
        Some(self.plan.get_or_init(|| Plan::new(&schema)))
    }
}

impl Plan {
    /// Adds the row of `answer`.
    fn push(&self, answer: &[u8], rows: &mut Rows<'_>) -> Result<(), Fault> {
        let fault = match answer.trim_ascii_start().first() {
            Some(b'{') if !self.takes_struct(answer) => return rows.push_json(answer),
            Some(b'[') if !self.single => match self.check_length(answer) {
                Ok(()) => return rows.push_json(answer),
                Err(fault) => Some(fault),
            },
            _ if self.single => return rows.push_json_value(answer),
            _ if answer.trim_ascii() == b"null" => None,
            _ => {
                let wanted = self.layout.wanted.len();
                Some(Fault::Malformed(format!("one value for {wanted} output columns")))
            }
        };
        rows.push_nulls();
        fault.map_or(Ok(()), Err)
    }

    /// Whether an object is the value of the only column, not its row.
    fn takes_struct(&self, answer: &[u8]) -> bool {
        let is_nested = |wanted: &Wanted| wanted.data_type.is_nested();
        let names_column = |wanted: &Wanted| {
            crate::text::join::members(answer).iter().any(|name| Some(name) == wanted.name.as_ref())
        };
        self.single
            && self.layout.wanted.first().is_some_and(|one| is_nested(one) && !names_column(one))
    }

    /// Whether an array has a value for each column.
    fn check_length(&self, answer: &[u8]) -> Result<(), Fault> {
        let wanted = self.layout.wanted.len();
        match crate::text::json::count_elements(answer) {
            // What is no array is told by the reader.
            Ok(count) if count != wanted => {
                Err(Fault::Malformed(format!("{count} values for {wanted} output columns")))
            }
            _ => Ok(()),
        }
    }

    fn error(&self, fault: Fault) -> RowError {
        let name = |column: usize| self.schema.field(column).name();
        let problem = match fault {
            Fault::Malformed(problem) => problem,
            Fault::Type { column, value } => {
                let wanted = type_name(&self.layout.wanted[column].data_type);
                format!("output `{}`: `{value}` is no {wanted}", name(column))
            }
            Fault::Absent { column } => format!("output `{}` is absent", name(column)),
            Fault::Null { column } => format!("output `{}` is null", name(column)),
            Fault::Unknown { name } => format!("output `{name}` is not among the output columns"),
        };
        output_error(&problem)
    }
}

fn output_error(problem: &str) -> RowError {
    let message = format!(
        "the model's answer does not fit: {problem}; set the columns with `--output-schema`"
    );
    RowError { class: RejectClass::Output, message }
}

/// The columns that the answers show: those of the objects, if the first that says something is one.
fn guess_schema(answers: &Lines) -> Option<Schema> {
    let mut all = Guess::Null;
    for answer in answers.iter() {
        let Some(guess) = Guess::of_value(answer) else { continue };
        let same_shape = match (&all, &guess) {
            (Guess::Null, _) => true,
            (Guess::Members(_), _) | (_, Guess::Members(_)) => {
                matches!((&all, &guess), (Guess::Members(_), Guess::Members(_)))
            }
            _ => true,
        };
        if same_shape {
            all = all.merge(guess);
        }
    }
    let column =
        |name: String, guess: Guess| Field::new(name, guess.data_type(NumberTypes::Float64), true);
    match all {
        Guess::Null => None,
        Guess::Members(members) if members.is_empty() => None,
        Guess::Members(members) => {
            let fields: Vec<Field> =
                members.into_iter().map(|(name, guess)| column(name, guess)).collect();
            Some(Schema::new(fields))
        }
        value => Some(Schema::new(vec![column(PREDICTION.to_owned(), value)])),
    }
}

/// Rows for answers that show no schema: nulls, empty objects, or no JSON.
fn undecided(answers: &Lines) -> (RecordBatch, Vec<(usize, RowError)>) {
    let broken = |answer: &[u8]| Guess::of_value(answer).is_none();
    let errors = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| broken(answer))
        .map(|(index, answer)| {
            let shown = crate::text::to_columns::shown(answer);
            (index, output_error(&format!("`{shown}` is no JSON")))
        })
        .collect();
    let schema = Arc::new(Schema::empty());
    (batch(&schema, Vec::new(), answers.len()), errors)
}

/// Reads the text of `--output-schema`: columns such as
/// `prediction: float64, tags: list<utf8>, box: fixed_size_list<float32, 4>`.
pub fn parse_output_schema(text: &str) -> Result<Schema, SchemaTextError> {
    parse_schema(text)
}

#[cfg(test)]
mod tests;

//! Decides how an output is written: its name, its format, what stands in it.

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use parquet::{basic::Compression as Codec, file::metadata::ColumnChunkMetaData};

use crate::{
    error::TransformError,
    input::{Contents, InputFile, find_named},
    output::SinkPlan,
    settings::{Join, Rejected, Settings},
    text::detect::{Compression, Format},
};

pub(super) fn can_append(file: &InputFile, settings: &Settings, picked: bool) -> bool {
    file.format() == Format::Parquet
        && settings.output_format.is_none_or(|format| format == Format::Parquet)
        && settings.join == Join::Input
        && settings.rejected == Rejected::Keep
        && !settings.is_filtered()
        && !picked
}

pub(super) fn sink_plan(
    file: &InputFile,
    settings: &Settings,
    path: PathBuf,
    header: Option<Vec<String>>,
) -> SinkPlan {
    let input = file.format();
    let format = match (settings.output_format, input) {
        (Some(format), _) => format,
        (None, Format::Lines) => Format::JsonLines,
        (None, input) => input,
    };
    let same = format == input;
    let codec = match &file.contents {
        Contents::Parquet { metadata, .. } => metadata
            .metadata()
            .row_groups()
            .first()
            .and_then(|group| group.columns().first())
            .map_or(Codec::SNAPPY, ColumnChunkMetaData::compression),
        Contents::Text { .. } => Codec::SNAPPY,
    };
    let splice = same
        && format != Format::Parquet
        && settings.join == Join::Input
        && !settings.is_filtered();
    SinkPlan {
        path,
        format,
        compression: if same { file.compression() } else { Compression::None },
        codec,
        group_bytes: (settings.memory / 16).clamp(1 << 20, 128 << 20) as usize,
        rejected: settings.rejected,
        splice,
        write_header: !settings.is_filtered() && (!same || header.is_some()),
        header,
    }
}

/// The input's root columns that stand in the output.
pub(super) fn join_columns(
    settings: &Settings,
    format: Format,
    schema: &SchemaRef,
    filtered: bool,
) -> Result<Vec<usize>, TransformError> {
    match &settings.join {
        _ if filtered || format == Format::Lines => Ok(Vec::new()),
        Join::Nothing => Ok(Vec::new()),
        Join::Input => Ok((0..schema.fields().len()).collect()),
        Join::Columns(names) => find_named(names.iter().map(String::as_str), schema),
    }
}

/// The name of an output: the input's, with another ending if the format is another.
pub(super) fn output_name(relative: &str, input: Format, output: Format) -> String {
    if input == output || (input == Format::Lines && output == Format::JsonLines) {
        return relative.to_owned();
    }
    let strip = |name: &str, endings: &[&str]| {
        let ending = endings.iter().find(|ending| name.to_ascii_lowercase().ends_with(*ending));
        name[..name.len() - ending.map_or(0, |ending| ending.len())].to_owned()
    };
    let stem = strip(relative, &[".gz", ".zst", ".zstd"]);
    let stem = strip(&stem, &[".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".txt"]);
    let ending = match output {
        Format::Parquet => "parquet",
        Format::JsonLines | Format::Lines => "jsonl",
        Format::Csv => "csv",
    };
    format!("{stem}.{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_keep_their_names_and_change_endings_with_formats() {
        let name = output_name("day=1/a.csv.gz", Format::Csv, Format::Parquet);
        assert_eq!(name, "day=1/a.parquet");
        assert_eq!(output_name("a.parquet", Format::Parquet, Format::Parquet), "a.parquet");
        assert_eq!(output_name("data", Format::JsonLines, Format::Csv), "data.csv");
    }
}

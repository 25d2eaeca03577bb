//! Writes JSON Lines and CSV outputs.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use flate2::write::GzEncoder;

use crate::{error::TransformError, text::detect::Compression};

/// A text file in the making.
pub(crate) struct TextOutput {
    writer: Encoder,
    path: std::path::PathBuf,
}

enum Encoder {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::stream::write::Encoder<'static, BufWriter<File>>),
}

impl TextOutput {
    pub(crate) fn create(path: &Path, compression: Compression) -> Result<Self, TransformError> {
        let failed = || TransformError::io("create", path);
        let file = BufWriter::with_capacity(1 << 18, File::create(path).map_err(failed())?);
        let writer = match compression {
            Compression::None => Encoder::Plain(file),
            Compression::Gzip => {
                Encoder::Gzip(GzEncoder::new(file, flate2::Compression::default()))
            }
            Compression::Zstd => Encoder::Zstd(
                zstd::stream::write::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)
                    .map_err(failed())?,
            ),
        };
        Ok(Self { writer, path: path.to_owned() })
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> Result<(), TransformError> {
        let result = match &mut self.writer {
            Encoder::Plain(writer) => writer.write_all(text),
            Encoder::Gzip(writer) => writer.write_all(text),
            Encoder::Zstd(writer) => writer.write_all(text),
        };
        result.map_err(TransformError::io("write", &self.path))
    }

    pub(crate) fn finish(self) -> Result<(), TransformError> {
        let flushed = match self.writer {
            Encoder::Plain(mut writer) => writer.flush(),
            Encoder::Gzip(writer) => writer.finish().and_then(|mut inner| inner.flush()),
            Encoder::Zstd(writer) => writer.finish().and_then(|mut inner| inner.flush()),
        };
        flushed.map_err(TransformError::io("write", self.path))
    }
}

//! `[[images]]`: what stands for the container images that jobs name.

use crate::reader::Table;

/// A Python environment, or an image of Docker, for the images of a pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSettings {
    /// What an image's whole URI has to look like; `*` stands for anything.
    pub pattern: String,
    /// The Python's version; that of the image's name or tag if it is not said.
    pub python: Option<String>,
    /// Lines of a requirements file.
    pub requirements: Vec<String>,
    /// What a training job runs that names no program.
    pub train: Option<Vec<String>>,
    /// The image of Docker that is run instead.
    pub docker: Option<String>,
}

impl ImageSettings {
    pub(crate) fn read_all(top: &Table<'_, '_>) -> Vec<Self> {
        top.tables("images").into_iter().map(Self::read).collect()
    }

    fn read(table: Table<'_, '_>) -> Self {
        let read = Self {
            pattern: table.required("pattern").unwrap_or_default(),
            python: table.maybe("python"),
            requirements: table.or("requirements", Vec::new()),
            train: table.maybe("train"),
            docker: table.maybe("docker"),
        };
        if read.train.as_ref().is_some_and(Vec::is_empty) {
            table.refuse("train", "names no program");
        }
        if read.docker.is_some() {
            for key in ["python", "requirements", "train"].into_iter().filter(|key| table.has(key))
            {
                table.refuse(key, "stands beside `docker`, whose image has all that it needs");
            }
        }
        table.finish();
        read
    }
}

//! Images of Docker that serve a model: the engine runs in their container, beside their server.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use bessemer_compute::{Bind, docker};

use super::{
    super::container::{Place, Site},
    Failed,
    code::ServingImage,
    plan::Plan,
};

/// Where an image's server listens.
pub(super) const PORT: u16 = 8080;
/// What the engine is linked with, in a container.
const LIBRARIES: &str = "/opt/bessemer/lib";

impl ServingImage {
    /// The image of Docker that serves the job's model, if one does.
    pub(super) fn of(site: &Site, plan: &Plan) -> Result<Option<Self>, Failed> {
        let uri = &plan.container.image;
        if plan.container.serve.is_some() {
            return Ok(None);
        }
        let image = match site.place(uri) {
            Ok(Place::Container(image)) => image,
            Err(failed) if site.images.container(uri).is_some() => return Err(failed.into()),
            // The model may need no image.
            Ok(Place::Environment(_)) | Err(_) => return Ok(None),
        };
        let entry = docker::entry_point(&site.docker.host, &image);
        let mut words =
            entry.map_err(|error| Failed::infrastructure(format!("failed to {error}")))?;
        // As SageMaker starts it.
        words.push("serve".to_owned());
        let command = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        Ok(Some(Self { image, command }))
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// How the program `engine` is run where there may be no libraries, or others: by its own loader, with
/// its own libraries beside it. The command, and what it needs to see.
pub(super) fn carried(engine: &str) -> io::Result<(Vec<OsString>, Vec<Bind>)> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut files: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])))
        .filter(|path| path.file_name().is_some_and(is_library))
        .collect();
    files.sort();
    files.dedup();
    let inside = |path: &Path| Path::new(LIBRARIES).join(path.file_name().unwrap_or_default());
    let loader = files.iter().find(|path| path.file_name().is_some_and(is_loader));
    let command = match loader {
        Some(loader) => {
            let loader = inside(loader).into_os_string();
            vec![loader, "--library-path".into(), LIBRARIES.into(), engine.into()]
        }
        None => vec![engine.into()],
    };
    let mounts = files.iter().map(|path| Bind::read_only(path, inside(path))).collect();
    Ok((command, mounts))
}

fn is_library(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.contains(".so") && !name.contains("(deleted)")
}

fn is_loader(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("ld-linux") || name.starts_with("ld-musl") || name.starts_with("ld64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words_in_a_shell() {
        let said = std::process::Command::new("sh")
            .args(["-c", &format!("printf %s {}", quoted("it's $HOME `x` \\"))])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), "it's $HOME `x` \\");
    }
}

//! Functions of SageMaker's SDK (`@step`, `@remote`): jobs whose program is the SDK's own driver. It has
//! the packages of a requirements file installed, the SDK among them, and calls the function.

use bessemer_compute::environments::plain_requirements;
use serde_json::Value;

use crate::runners::container::{Failed, Program, Stage, of_host};

/// What the SDK has its jobs run.
const DRIVER: &str = "/opt/ml/input/data/sagemaker_remote_function_bootstrap/job_driver.sh";
/// The channel with the requirements file, below `/opt/ml`.
const PACKAGES: &str = "input/data/pre_exec_script_and_dependencies";
/// The argument that names the file.
const SETTINGS: &str = "--dependency_settings";
/// The argument that tells the version of the SDK that made the job.
const VERSION: &str = "--client_sagemaker_pysdk_version";
/// Characters of a requirements file at most.
const REQUIREMENTS: usize = 1 << 20;

/// Has the job of a function run in an environment that is built once with what the function needs,
/// so that the driver installs nothing. Of other jobs nothing is changed.
pub(super) fn prepare(program: &mut Program, stage: &Stage) -> Result<(), Failed> {
    if program.command.last().is_none_or(|last| last != DRIVER) {
        return Ok(());
    }
    // The driver asks for `sudo` if it is not root; the folders are the job's own anyway.
    program.environment.push(("LOGNAME".to_owned(), "root".to_owned()));
    let settings = value_of(&program.arguments, SETTINGS).map(|at| program.arguments[at].clone());
    let file = settings.as_deref().and_then(file_of);
    let Some(mut wanted) =
        file.as_deref().map_or(Ok(Some(Vec::new())), |file| read(file, stage))?
    else {
        // Installed by the driver, in the sandbox, or refused by it.
        return Ok(());
    };
    // Its images have it, and later versions of it ask for it themselves.
    if let Some(at) = value_of(&program.arguments, VERSION)
        && !wanted.iter().any(|line| line.starts_with("sagemaker"))
    {
        wanted.push(format!("sagemaker=={}", program.arguments[at]));
    }
    program.requirements = Some(wanted.join("\n"));
    if let Some(at) = value_of(&program.arguments, SETTINGS) {
        "{}".clone_into(&mut program.arguments[at]);
    }
    Ok(())
}

/// Where the value of the argument `name` is.
fn value_of(arguments: &[String], name: &str) -> Option<usize> {
    let at = arguments.iter().position(|argument| argument == name)? + 1;
    (at < arguments.len()).then_some(at)
}

/// The file that the driver's settings name, if they name one.
fn file_of(settings: &str) -> Option<String> {
    let settings: Value = serde_json::from_str(settings).ok()?;
    settings["dependency_file"].as_str().map(str::to_owned)
}

/// The lines of a requirements file; none if it holds more than names of packages, as files of conda do.
fn read(file: &str, stage: &Stage) -> Result<Option<Vec<String>>, Failed> {
    let packages = of_host(&stage.folder, PACKAGES).map_err(Failed::internal)?;
    let Some(packages) = packages else { return Ok(None) };
    let text = packages.text(file, REQUIREMENTS).map_err(Failed::internal)?;
    Ok(text.and_then(|text| plain_requirements(&text).ok()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bessemer_objects::{buckets::BucketDir, storage::Storage};

    use super::*;

    fn prepared(requirements: &str, settings: &str, driver: &str) -> Program {
        let folder = tempfile::tempdir().unwrap();
        let packages = folder.path().join("ml").join(PACKAGES);
        fs::create_dir_all(&packages).unwrap();
        fs::write(packages.join("mine.txt"), requirements).unwrap();
        let buckets = BucketDir::open(folder.path()).unwrap();
        let stage = Stage {
            storage: Storage::Folder(buckets.into()),
            folder: folder.path().to_owned(),
            index: 0,
            count: 1,
            mounts: Vec::new(),
        };
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let mut program = Program {
            command: texts(&["/bin/bash", driver]),
            arguments: texts(&[VERSION, "2.200.0", SETTINGS, settings, "--last", "y"]),
            ..Program::default()
        };
        prepare(&mut program, &stage).unwrap();
        program
    }

    #[test]
    fn a_functions_packages_are_the_environments_and_not_installed_again() {
        let settings = r#"{"dependency_file": "mine.txt"}"#;
        let program = prepared("sagemaker>=2.256.0,<3.0.0\n", settings, DRIVER);
        assert_eq!(program.requirements.as_deref(), Some("sagemaker>=2.256.0,<3.0.0"));
        assert_eq!(program.arguments[2..], [SETTINGS, "{}", "--last", "y"]);
        let with_sdk =
            |requirements, settings| prepared(requirements, settings, DRIVER).requirements;
        let expected = Some("numpy\nsagemaker==2.200.0".to_owned());
        assert_eq!(with_sdk("numpy  # for sums", settings), expected);
        let expected = Some("sagemaker==2.200.0".to_owned());
        assert_eq!(with_sdk("", r#"{"dependency_file": null}"#), expected);
    }

    #[test]
    fn what_is_not_plain_or_not_a_functions_is_left_as_it_is() {
        let settings = r#"{"dependency_file": "mine.txt"}"#;
        for program in [
            prepared("git+https://x/y", settings, DRIVER),
            prepared("name: mine\ndependencies:\n- numpy\n", settings, DRIVER),
            prepared("sagemaker", settings, "/opt/ml/code/run.sh"),
        ] {
            assert_eq!(program.requirements, None);
            assert_ne!(program.arguments[3], "{}");
        }
    }
}

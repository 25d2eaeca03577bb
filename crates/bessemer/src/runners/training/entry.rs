//! What a training job runs: what it says, or its script, or what its image has.

use bessemer_compute::{Image, images::ImageEntry};

use super::{function, request::TrainingRequest, script};
use crate::runners::container::{Failed, Program, Stage};

/// The training of images that are themselves an algorithm.
const XGBOOST: &str = include_str!("xgboost.py");

/// Puts the program into the instance's folder, and says how it is run.
pub(super) fn stage(
    request: &TrainingRequest,
    stage: &Stage,
    image: Option<&Image>,
) -> Result<Program, Failed> {
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let of_job =
        [named("TRAINING_JOB_NAME", &request.name), named("TRAINING_JOB_ARN", &request.arn)];
    let mut program = if let Some(command) = &request.entrypoint {
        let (command, arguments) = (command.clone(), request.arguments.clone());
        let mut program = Program { command, arguments, ..Program::default() };
        // What a container has is its own matter.
        if image.is_some() {
            function::prepare(&mut program, stage)?;
        }
        program
    } else if image.is_none() {
        // As SageMaker starts images, which know of scripts by themselves.
        let mut arguments = request.arguments.clone();
        if arguments.is_empty() {
            arguments.push("train".to_owned());
        }
        Program { arguments, ..Program::default() }
    } else if script::is_asked_for(request) {
        script::stage(request, stage)?
    } else {
        match image.map_or(&ImageEntry::Nothing, |image| &image.entry) {
            ImageEntry::XgBoost if stage.count > 1 => {
                return Err(Failed::client(
                    "the XGBoost algorithm trains on one instance here; a script of your own may \
                     use several",
                ));
            }
            ImageEntry::XgBoost => {
                let path = "/opt/ml/code/bessemer_xgboost.py";
                stage.write(path, XGBOOST)?;
                Program {
                    command: vec!["python".to_owned(), path.to_owned()],
                    ..Program::default()
                }
            }
            ImageEntry::Train(command) => {
                Program { command: command.clone(), ..Program::default() }
            }
            ImageEntry::Nothing | ImageEntry::Program(_) => {
                return Err(Failed::client(format!(
                    "the image `{}` has no program of its own to train: name one by the \
                     hyperparameters `sagemaker_program` and `sagemaker_submit_directory`, as SDKs \
                     do, or by ContainerEntrypoint",
                    request.demand.image
                )));
            }
        }
    };
    program.environment.extend(of_job);
    Ok(Program { folder: "/opt/ml/code".to_owned(), ..program })
}

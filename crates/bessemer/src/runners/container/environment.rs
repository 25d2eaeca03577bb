//! The Python environment of an attempt: that of its image, or one with its own requirements.

use std::time::Instant;

use bessemer_compute::{
    EnvSpec, Environment, EnvironmentError, Environments, environments::plain_requirements,
};

use super::Failed;

/// The environment with what `image` has and the packages of `requirements`, built if it isn't there,
/// which takes time and is said.
pub(crate) fn ensure(
    environments: &Environments,
    image: &EnvSpec,
    requirements: Option<&str>,
    say: &dyn Fn(&str),
) -> Result<Environment, Failed> {
    let own = plain_requirements(requirements.unwrap_or_default()).map_err(Failed::client)?;
    let wanted = image.with(&own);
    let looser = (!own.is_empty()).then(|| image.loosely_with(&own));
    let known = [Some(&wanted), looser.as_ref()];
    if let Some(built) = known.into_iter().flatten().find_map(|spec| environments.find(spec)) {
        return Ok(built);
    }
    say("Building the Python environment, which later jobs with the same one will find ...");
    let begun = Instant::now();
    let built = match (environments.ensure(&wanted), &looser) {
        // What the image has may not go with what is asked for.
        (Err(EnvironmentError::Failed { .. }), Some(looser)) => environments.ensure(looser),
        (built, _) => built,
    };
    match &built {
        Ok(_) => say(&format!("Built it in {:.1} s", begun.elapsed().as_secs_f64())),
        Err(EnvironmentError::Failed { output, .. }) => say(output),
        Err(_) => {}
    }
    built.map_err(|error| Failed::from_environment(&error))
}

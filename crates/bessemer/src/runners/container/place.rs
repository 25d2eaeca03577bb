//! What a job's image is here: a Python environment, or an image of Docker.

use std::{fs, os::unix::fs::MetadataExt};

use bessemer_compute::{
    Environment, Image,
    docker::{self, ContainerNetwork, ContainerSpec},
};
use bessemer_domain::JobId;

use super::{Failed, Site};

/// What an image is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// An environment, with what runs if a job names no program.
    Environment(Image),
    /// This image of Docker.
    Container(String),
}

/// What programs run in, ready.
#[derive(Debug)]
pub(crate) enum Runtime {
    Environment(Environment),
    /// A container of this image of Docker.
    Container(String),
}

/// How Docker is used.
#[derive(Debug, Clone)]
pub(crate) struct DockerOptions {
    /// The daemon's address.
    pub(crate) host: String,
    /// What containers see of the network, if their job is not isolated.
    pub(crate) network: ContainerNetwork,
}

impl Site {
    /// What the image `uri` is. Images that nothing stands for may be Docker's.
    pub(crate) fn place(&self, uri: &str) -> Result<Place, Failed> {
        let named = self.images.container(uri);
        let unknown = match (named, self.images.find(uri)) {
            (None, Ok(image)) => return Ok(Place::Environment(image)),
            (_, found) => found.err(),
        };
        let image = named.unwrap_or(uri);
        let told = match docker::has_image(&self.docker.host, image) {
            Ok(true) => return Ok(Place::Container(image.to_owned())),
            Ok(false) => format!("Docker has no image `{image}`; get it by `docker pull {image}`"),
            Err(error) if named.is_some() => {
                return Err(Failed::internal(format!("failed to {error}")));
            }
            Err(error) => format!("Docker can't be asked for it: failed to {error}"),
        };
        Err(Failed::client(match unknown {
            Some(unknown) if named.is_none() => format!("{unknown}; {told}"),
            _ => told,
        }))
    }

    /// The container for instance `host` of a job.
    pub(crate) fn container(&self, image: &str, job: JobId, host: &str) -> ContainerSpec {
        // Other servers of this machine have other folders.
        let server = fs::metadata(&self.runs).map_or(0, |folder| folder.ino());
        let own = (rustix::process::geteuid(), rustix::process::getegid());
        let user = (!own.0.is_root()).then(|| format!("{}:{}", own.0.as_raw(), own.1.as_raw()));
        ContainerSpec {
            host: self.docker.host.clone(),
            image: image.to_owned(),
            name: format!("bessemer-{server:x}-{job}-{host}"),
            network: self.docker.network.clone(),
            user,
        }
    }
}

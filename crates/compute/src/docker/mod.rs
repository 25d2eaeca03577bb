//! Containers of Docker, for images that no environment stands for. Docker's own command speaks to its
//! daemon; a container is looked after by a supervisor as a sandbox is, and goes away with it.

mod command;
mod container;
mod door;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub(crate) use command::Docker;
pub use command::DockerError;
pub(crate) use container::Container;

/// Where Docker's daemon listens if nothing is said.
pub const DOCKER_HOST: &str = "unix:///var/run/docker.sock";

/// A container to run a process in, instead of a sandbox. The order's `command` is its entry point, or
/// the image's own if that is empty; it has the image's variables, user and folder where the order says
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The daemon's address.
    pub host: String,
    /// The image, which has to be there.
    pub image: String,
    /// The container's name: at any time there is one of a name, and an older one makes way.
    pub name: String,
    /// What it sees of the network, if the order gives it one.
    pub network: ContainerNetwork,
    /// User and group, as `1000:1000`; none: as the image says.
    pub user: Option<String>,
}

/// What a container sees of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerNetwork {
    /// A loopback of its own, on which the port of this address of ours leads to it.
    Door(SocketAddr),
    /// This machine's network.
    Host,
}

/// The container of a process, as its note tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerNote {
    pub(crate) host: String,
    pub(crate) name: String,
}

impl ContainerNote {
    /// Removes the container with all that runs in it, if it is there.
    pub(crate) fn remove(&self) -> Result<(), DockerError> {
        Docker::at(&self.host).remove(&self.name)
    }
}

/// Asks the daemon at `host` whether it has `image`.
pub fn has_image(host: &str, image: &str) -> Result<bool, DockerError> {
    Docker::at(host).has_image(image)
}

/// What `image` of the daemon at `host` runs before its arguments.
pub fn entry_point(host: &str, image: &str) -> Result<Vec<String>, DockerError> {
    Docker::at(host).entry_point(image)
}

/// The version of the daemon at `host`.
pub fn daemon_version(host: &str) -> Result<String, DockerError> {
    Docker::at(host).version()
}

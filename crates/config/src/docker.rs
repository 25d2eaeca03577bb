//! `[docker]`: containers, for images that no environment stands for.

use crate::reader::Table;

/// How Docker is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSettings {
    /// The daemon's address.
    pub host: String,
    /// Whether containers share this machine's network, where the job has one.
    pub has_host_network: bool,
}

impl Default for DockerSettings {
    fn default() -> Self {
        Self { host: "unix:///var/run/docker.sock".to_owned(), has_host_network: false }
    }
}

impl DockerSettings {
    pub(crate) fn read(top: &Table<'_, '_>) -> Self {
        let usual = Self::default();
        let Some(table) = top.table("docker") else { return usual };
        let host = table.or("host", usual.host);
        if !host.starts_with("unix:///") {
            // Folders of jobs are mounted, so the daemon has to be this machine's.
            table.refuse(
                "host",
                "is not the address of a socket, such as `unix:///var/run/docker.sock`",
            );
        }
        let network = table.or("network", "server".to_owned());
        if !matches!(network.as_str(), "server" | "host") {
            table.refuse("network", format!("is `{network}` and has to be `server` or `host`"));
        }
        table.finish();
        Self { host, has_host_network: network == "host" }
    }
}

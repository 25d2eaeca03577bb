//! Real processes in real sandboxes. As root, everything is done once more as an ordinary user.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod escape;
mod lifecycle;
mod limits;
mod ordinary_user;
mod site;

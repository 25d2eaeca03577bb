//! Real processes in real sandboxes. As root, everything is done once more as an ordinary user.

mod escape;
mod lifecycle;
mod limits;
mod ordinary_user;
mod site;

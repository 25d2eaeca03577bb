//! Notifications of jobs that came to their end, from the outbox to webhooks, mail and commands.
//!
//! Each target is a consumer of the outbox with a position of its own, which goes on only when a
//! notification was delivered or given up: every one is delivered at least once, across restarts,
//! and no target waits for another.

mod address;
mod command;
mod deliver;
mod mail;
mod notification;
mod notifier;
mod webhook;

pub use deliver::{Deliverer, DeliveryError};
pub use notification::Notification;
pub use notifier::{Notifier, NotifierOptions};

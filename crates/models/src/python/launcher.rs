//! The thread that starts worker processes.
//!
//! The kernel ends a worker when the *thread* that started it ends (`PR_SET_PDEATHSIG`), and the
//! engine's threads come and go: so workers are started by one thread that lives as long as the pool.

use std::{
    io,
    process::{Child, Command},
    sync::mpsc,
    thread,
};

/// Starts processes on a thread of its own.
#[derive(Debug)]
pub(super) struct Launcher {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
struct Order {
    command: Command,
    reply: mpsc::Sender<io::Result<Child>>,
}

impl Launcher {
    pub(super) fn start() -> io::Result<Self> {
        let (orders, received) = mpsc::channel::<Order>();
        thread::Builder::new().name("handler-launcher".to_owned()).spawn(move || {
            for mut order in received {
                // The asker waits for the reply, so it is there to take it.
                let _ = order.reply.send(order.command.spawn());
            }
        })?;
        Ok(Self { orders })
    }

    /// Starts `command`.
    pub(super) fn launch(&self, command: Command) -> io::Result<Child> {
        let gone = |_| io::Error::other("the launcher has ended");
        let (reply, answer) = mpsc::channel();
        self.orders.send(Order { command, reply }).map_err(|_| gone(mpsc::RecvError))?;
        answer.recv().map_err(gone)?
    }
}

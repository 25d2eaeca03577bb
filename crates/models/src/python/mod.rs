//! Python handlers in worker processes.

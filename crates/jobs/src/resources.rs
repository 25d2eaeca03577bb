//! Room on the machine.

use std::{num::NonZero, thread};

use bessemer_domain::ByteSize;

/// Cores and memory: what a machine has, or what an attempt takes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Whole cores.
    pub cores: u32,
    /// Bytes.
    pub memory: u64,
}

impl Resources {
    /// What this machine has.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let system = rustix::system::sysinfo();
        let memory = system.totalram.saturating_mul(u64::from(system.mem_unit));
        Self { cores: u32::try_from(cores).unwrap_or(u32::MAX), memory }
    }

    /// The same, one core at least and no more than `machine` has; and what was changed, in words.
    #[must_use]
    pub fn clamped_to(self, machine: Self) -> (Self, Option<String>) {
        let clamped = Self {
            cores: self.cores.clamp(1, machine.cores.max(1)),
            memory: self.memory.min(machine.memory),
        };
        let mut notes = Vec::new();
        if clamped.cores < self.cores {
            notes.push(format!("{} cores instead of {}", clamped.cores, self.cores));
        }
        if clamped.memory < self.memory {
            let (given, asked) = (ByteSize(clamped.memory), ByteSize(self.memory));
            notes.push(format!("{given} of memory instead of {asked}"));
        }
        let note = format!("it gets {}, which is what the machine has", notes.join(" and "));
        (clamped, (!notes.is_empty()).then_some(note))
    }

    pub(crate) fn fits_in(self, room: Self) -> bool {
        self.cores <= room.cores && self.memory <= room.memory
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            cores: self.cores.saturating_add(other.cores),
            memory: self.memory.saturating_add(other.memory),
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            cores: self.cores.saturating_sub(other.cores),
            memory: self.memory.saturating_sub(other.memory),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_past_the_machine_is_clamped_and_noted() {
        let machine = Resources { cores: 4, memory: 8 << 30 };
        let modest = Resources { cores: 2, memory: 1 << 30 };
        assert_eq!(modest.clamped_to(machine), (modest, None));
        let none = Resources { cores: 0, memory: 0 };
        assert_eq!(none.clamped_to(machine).0.cores, 1);
        let (clamped, note) = Resources { cores: 96, memory: 8 << 30 }.clamped_to(machine);
        assert_eq!(clamped, machine);
        let expected = "it gets 4 cores instead of 96, which is what the machine has";
        assert_eq!(note.as_deref(), Some(expected));
    }
}

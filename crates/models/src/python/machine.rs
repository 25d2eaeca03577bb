//! How many workers the machine bears.

use std::{fs, num::NonZero, thread};

/// Cores that this process may use.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Bytes of memory that workers may use if nobody says how many: four fifths of what is free, in the
/// machine and in our control group. `None` where the system doesn't tell.
pub(super) fn free_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .map(|most| most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or(0)));
    let free = machine.into_iter().chain(group).min()?;
    Some(free / 5 * 4)
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// How many workers to run: as `wanted` by the user or one a core, as far as `memory` bears that many
/// of `resident` bytes each; always one.
pub(super) fn copies(
    wanted: Option<usize>,
    cores: usize,
    memory: Option<u64>,
    resident: u64,
) -> usize {
    let wanted = wanted.unwrap_or(cores);
    let bearable = memory.map_or(u64::MAX, |memory| memory / resident.max(1));
    wanted.min(usize::try_from(bearable).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_follow_the_user_then_memory_then_cores() {
        assert_eq!(copies(None, 8, None, 1 << 30), 8);
        assert_eq!(copies(None, 8, Some(5 << 30), 2 << 30), 2);
        assert_eq!(copies(None, 8, Some(1 << 20), 2 << 30), 1);
        assert_eq!(copies(Some(3), 8, Some(64 << 30), 1 << 30), 3);
        assert_eq!(copies(Some(0), 8, None, 0), 1);
    }

    #[test]
    fn available_memory_is_read() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   1024 kB\n";
        assert_eq!(available(text), Some(1 << 20));
        assert_eq!(available("MemTotal: 1 kB"), None);
    }
}

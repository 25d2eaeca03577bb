//! Which job goes next: by priority, then by how little of the machine its share has, then by age;
//! and only if there is room. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use bessemer_domain::JobId;

use crate::resources::Resources;

/// How many jobs may go before one that was first but found no room. Then the machine is kept for
/// it.
const PATIENCE: u32 = 32;

/// How far into a share's jobs to look for one that finds room.
const LOOK_AHEAD: usize = 32;

/// A job that waits for room, or has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) job: JobId,
    pub(crate) priority: i32,
    pub(crate) share: Arc<str>,
    pub(crate) need: Resources,
    /// How many went before it while it was first.
    pub(crate) overtaken: u32,
}

/// The jobs that wait for room, and the room.
#[derive(Debug)]
pub(crate) struct Queue {
    total: Resources,
    used: Resources,
    waiting: BTreeMap<Reverse<i32>, BTreeMap<Arc<str>, VecDeque<Entry>>>,
    shares: HashMap<Arc<str>, Share>,
    /// Counts the jobs that were given room.
    served: u64,
    length: usize,
}

/// What a share has of the machine.
#[derive(Debug, Default, Clone, Copy)]
struct Share {
    cores: u32,
    running: u32,
    /// When it was last given room, by [`Queue::served`].
    last: u64,
}

impl Queue {
    pub(crate) fn new(total: Resources) -> Self {
        Self {
            total,
            used: Resources { cores: 0, memory: 0 },
            waiting: BTreeMap::new(),
            shares: HashMap::new(),
            served: 0,
            length: 0,
        }
    }

    /// Puts a job at the end of its share's line. One that asks for more than there is gets all.
    pub(crate) fn push(&mut self, mut entry: Entry) {
        entry.need = entry.need.clamped_to(self.total).0;
        let level = self.waiting.entry(Reverse(entry.priority)).or_default();
        level.entry(Arc::clone(&entry.share)).or_default().push_back(entry);
        self.length += 1;
    }

    /// How many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The room that nobody has.
    pub(crate) fn free(&self) -> Resources {
        self.total.minus(self.used)
    }

    /// Takes the next job out of the line and gives it room.
    pub(crate) fn next(&mut self) -> Option<Entry> {
        let (priority, share, index) = self.choose()?;
        let level = self.waiting.get_mut(&priority)?;
        let line = level.get_mut(&share)?;
        let entry = line.remove(index)?;
        if line.is_empty() {
            level.remove(&share);
        }
        if level.is_empty() {
            self.waiting.remove(&priority);
        }
        self.length -= 1;
        self.occupy(&entry);
        Some(entry)
    }

    /// Finds the next job, and marks those that it overtakes.
    fn choose(&mut self) -> Option<(Reverse<i32>, Arc<str>, usize)> {
        let free = self.free();
        let mut overtaken = Vec::new();
        let mut chosen = None;
        'levels: for (priority, level) in &self.waiting {
            let mut order: Vec<(u32, u64, &Arc<str>)> = Vec::new();
            for name in level.keys() {
                let share = self.shares.get(name).copied().unwrap_or_default();
                order.push((share.cores, share.last, name));
            }
            order.sort_unstable();
            for (_, _, name) in order {
                let line = &level[name];
                let found = line.iter().take(LOOK_AHEAD).position(|entry| entry.need.fits_in(free));
                if found != Some(0) {
                    if line.front().is_some_and(|first| first.overtaken >= PATIENCE) {
                        return None;
                    }
                    overtaken.push((*priority, Arc::clone(name)));
                }
                if let Some(index) = found {
                    chosen = Some((*priority, Arc::clone(name), index));
                    break 'levels;
                }
            }
        }
        let chosen = chosen?;
        for (priority, name) in overtaken {
            let line = self.waiting.get_mut(&priority).and_then(|level| level.get_mut(&name));
            if let Some(first) = line.and_then(VecDeque::front_mut) {
                first.overtaken += 1;
            }
        }
        Some(chosen)
    }

    /// Gives room to a job that never waited here.
    pub(crate) fn occupy(&mut self, entry: &Entry) {
        self.used = self.used.plus(entry.need);
        self.served += 1;
        let share = self.shares.entry(Arc::clone(&entry.share)).or_default();
        share.cores = share.cores.saturating_add(entry.need.cores);
        share.running += 1;
        share.last = self.served;
    }

    /// Takes back the room of a job that was given it.
    pub(crate) fn release(&mut self, entry: &Entry) {
        self.used = self.used.minus(entry.need);
        if let Some(share) = self.shares.get_mut(&entry.share) {
            share.cores = share.cores.saturating_sub(entry.need.cores);
            share.running = share.running.saturating_sub(1);
        }
        if self.length == 0 {
            // Nobody waits to be compared with.
            self.shares.retain(|_, share| share.running > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MACHINE: Resources = Resources { cores: 4, memory: 100 };

    fn entry(job: i64, priority: i32, share: &str, cores: u32, memory: u64) -> Entry {
        let need = Resources { cores, memory };
        Entry { job: JobId(job), priority, share: share.into(), need, overtaken: 0 }
    }

    fn queue(entries: impl IntoIterator<Item = Entry>) -> Queue {
        let mut queue = Queue::new(MACHINE);
        entries.into_iter().for_each(|entry| queue.push(entry));
        queue
    }

    fn run_all(queue: &mut Queue) -> Vec<i64> {
        let mut order = Vec::new();
        while let Some(entry) = queue.next() {
            order.push(entry.job.0);
            queue.release(&entry);
        }
        order
    }

    #[test]
    fn higher_priorities_go_first_and_equals_in_the_order_of_their_coming() {
        let mut queue =
            queue([entry(1, 0, "a", 1, 1), entry(2, 5, "a", 1, 1), entry(3, 0, "a", 1, 1)]);
        assert_eq!(run_all(&mut queue), [2, 1, 3]);
    }

    #[test]
    fn shares_take_turns_however_many_jobs_one_of_them_has() {
        let many = (0..6).map(|job| entry(job, 0, "many", 2, 1));
        let few = (10..12).map(|job| entry(job, 0, "few", 2, 1));
        let mut queue = queue(many.chain(few));
        let first = [queue.next(), queue.next()].map(|entry| entry.expect("there is room"));
        assert_eq!(first.each_ref().map(|entry| entry.job.0), [10, 0]);
        assert_eq!(queue.next(), None, "the machine is full");
        queue.release(&first[1]);
        assert_eq!(queue.next().expect("there is room").job.0, 1, "few has half of the machine");
        queue.release(&first[0]);
        assert_eq!(queue.next().expect("there is room").job.0, 11);
    }

    #[test]
    fn a_large_job_is_overtaken_only_so_often() {
        let mut queue = queue([entry(1, 0, "a", 1, 1)]);
        let mut small = queue.next().expect("there is room");
        queue.push(entry(2, 0, "a", 4, 1));
        let mut overtook = 0;
        loop {
            queue.push(entry(100 + i64::from(overtook), 0, "a", 1, 1));
            let Some(next) = queue.next() else { break };
            queue.release(&small);
            small = next;
            overtook += 1;
        }
        assert_eq!(overtook, PATIENCE);
        queue.release(&small);
        assert_eq!(queue.next().expect("the machine is empty").job.0, 2);
    }

    proptest! {
        #[test]
        fn room_is_never_given_twice_and_everybody_gets_some(
            jobs in proptest::collection::vec((0_i32..3, 0_usize..3, 0_u32..9, 0_u64..200), 1..60),
            ends in proptest::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let shares = ["a", "b", "c"];
            let count = jobs.len();
            let mut queue = queue(jobs.into_iter().zip(0..).map(|((priority, share, cores, memory), id)| {
                entry(id, priority, shares[share], cores, memory)
            }));
            let mut running: Vec<Entry> = Vec::new();
            let mut seen = std::collections::HashSet::new();
            for end in ends {
                while let Some(entry) = queue.next() {
                    prop_assert!(seen.insert(entry.job), "{:?} was given room twice", entry.job);
                    running.push(entry);
                }
                let used = running.iter().fold(Resources { cores: 0, memory: 0 }, |sum, entry| sum.plus(entry.need));
                prop_assert!(used.fits_in(MACHINE), "{used:?} is more than there is");
                prop_assert!(!running.is_empty() || queue.len() == 0, "jobs wait for an empty machine");
                if !running.is_empty() {
                    queue.release(&running.remove(end.index(running.len())));
                }
            }
            prop_assert_eq!(seen.len(), count);
        }
    }
}

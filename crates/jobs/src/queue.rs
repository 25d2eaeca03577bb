//! Which job goes next, and only if there is room. Pure.
//!
//! Higher priorities go first. Within one, the share goes first that has had the least of the
//! machine for its weight, counted in cores and the time that it had them; within a share, the job
//! of the highest rank that was submitted first, so that one that is tried again does not wait behind
//! all others. One turn in [`PATIENCE`] is for the job that has waited longest of all, and a
//! job that was passed over [`PATIENCE`] times for want of room has the machine kept for it: so
//! everybody's turn comes.

mod gate;
mod shares;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bessemer_domain::JobId;

pub(crate) use gate::{Gate, GateKey, Gates};
pub(crate) use shares::Weights;

use crate::resources::Resources;
use shares::Shares;

/// How many jobs may go before one that was first but found no room; and how many turns come
/// between two of the job that has waited longest.
const PATIENCE: u32 = 32;

/// How far into a line to look for a job that finds room.
const LOOK_AHEAD: usize = 32;

/// A job that waits for room, or has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) job: JobId,
    pub(crate) priority: i32,
    /// Within a share, higher ranks go first.
    pub(crate) rank: i32,
    pub(crate) share: Arc<str>,
    pub(crate) need: Resources,
    /// The instances that quotas count.
    pub(crate) instances: u32,
    /// The quotas on running jobs that hold for it.
    pub(crate) gates: Arc<[Gate]>,
    /// How many went before it while it was first.
    pub(crate) overtaken: u32,
}

/// Jobs of one share that the same quotas hold for.
type Line = (Arc<str>, Arc<[Gate]>);

/// The jobs that wait for room, and the room.
#[derive(Debug)]
pub(crate) struct Queue {
    total: Resources,
    used: Resources,
    waiting: BTreeMap<Reverse<i32>, BTreeMap<Line, VecDeque<Entry>>>,
    shares: Shares,
    gates: Gates,
    /// Counts the jobs that were given room.
    served: u64,
    length: usize,
}

/// Where a job stands.
type Place = (Reverse<i32>, Line);

impl Queue {
    pub(crate) fn new(total: Resources, weights: Weights) -> Self {
        Self {
            total,
            used: Resources { cores: 0, memory: 0 },
            waiting: BTreeMap::new(),
            shares: Shares::new(weights),
            gates: Gates::default(),
            served: 0,
            length: 0,
        }
    }

    /// Takes note of the time (milliseconds since 1970).
    pub(crate) fn pass(&mut self, now: u64) {
        self.shares.pass(now);
    }

    /// Gives a share its weight.
    pub(crate) fn set_weight(&mut self, share: &str, weight: f64) {
        self.shares.set_weight(share, weight);
    }

    /// Puts a job in its line, behind those of its rank that were submitted before it. One that asks for
    /// more than there is gets all.
    pub(crate) fn push(&mut self, mut entry: Entry) {
        entry.need = entry.need.clamped_to(self.total).0;
        self.shares.wait(&entry.share);
        let level = self.waiting.entry(Reverse(entry.priority)).or_default();
        let line = (Arc::clone(&entry.share), Arc::clone(&entry.gates));
        let line = level.entry(line).or_default();
        let place = |entry: &Entry| (Reverse(entry.rank), entry.job);
        line.insert(line.partition_point(|other| place(other) <= place(&entry)), entry);
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

    /// What a share has of the machine: cores, and its weight.
    pub(crate) fn share(&self, share: &str) -> (u32, f64) {
        self.shares.of(share)
    }

    /// The first quota that keeps such a job waiting, and the instances that count for it.
    pub(crate) fn closed<'g>(&self, gates: &'g [Gate], instances: u32) -> Option<(&'g Gate, u32)> {
        self.gates.closed(gates, instances)
    }

    /// Takes the next job out of its line and gives it room.
    pub(crate) fn next(&mut self) -> Option<Entry> {
        let ((priority, line), index) = self.choose()?;
        let level = self.waiting.get_mut(&priority)?;
        let entries = level.get_mut(&line)?;
        let entry = entries.remove(index)?;
        if entries.is_empty() {
            level.remove(&line);
        }
        if level.is_empty() {
            self.waiting.remove(&priority);
        }
        self.length -= 1;
        self.occupy(&entry);
        self.shares.waited(&entry.share);
        Some(entry)
    }

    /// Finds the next job, and marks those that it overtakes.
    fn choose(&mut self) -> Option<(Place, usize)> {
        let free = self.free();
        let mut overtaken: Vec<Place> = Vec::new();
        let mut closed: Vec<Place> = Vec::new();
        let mut reserved: Vec<&GateKey> = Vec::new();
        let mut chosen = None;
        let is_turn_of_the_oldest = self.served % u64::from(PATIENCE) == u64::from(PATIENCE) - 1;
        let oldest = self.oldest().filter(|_| is_turn_of_the_oldest);
        let by_priority = self.waiting.iter().flat_map(|(priority, level)| {
            self.in_order(level).into_iter().map(|line| (*priority, line))
        });
        for place in oldest.into_iter().chain(by_priority) {
            let line = &self.waiting[&place.0][&place.1];
            let of_line = || place.1.1.iter().map(|gate| &gate.key);
            if self.line_is_closed(line) {
                // A job of many instances would otherwise see those of few pass for ever.
                if line.front().is_some_and(|first| first.overtaken >= PATIENCE) {
                    reserved.extend(line[0].gates.iter().map(|gate| &gate.key));
                }
                closed.push(place);
                continue;
            }
            if of_line().any(|key| reserved.contains(&key)) {
                continue;
            }
            let fits = |entry: &Entry| {
                entry.need.fits_in(free)
                    && self.gates.closed(&entry.gates, entry.instances).is_none()
            };
            let found = line.iter().take(LOOK_AHEAD).position(fits);
            if found != Some(0) {
                if line.front().is_some_and(|first| first.overtaken >= PATIENCE) {
                    return None;
                }
                overtaken.push(place.clone());
            }
            if let Some(index) = found {
                chosen = Some((place, index));
                break;
            }
        }
        let chosen: (Place, usize) = chosen?;
        let is_shared = |gate: &Gate| chosen.0.1.1.iter().any(|other| other.key == gate.key);
        closed.retain(|(_, (_, gates))| gates.iter().any(is_shared));
        for (priority, name) in overtaken.into_iter().chain(closed) {
            let line = self.waiting.get_mut(&priority).and_then(|level| level.get_mut(&name));
            if let Some(first) = line.and_then(VecDeque::front_mut) {
                first.overtaken += 1;
            }
        }
        Some(chosen)
    }

    /// Whether a quota, not the lack of room, keeps a line's first job waiting.
    fn line_is_closed(&self, line: &VecDeque<Entry>) -> bool {
        line.front().is_none_or(|first| self.gates.closed(&first.gates, first.instances).is_some())
    }

    /// The lines of a priority, the one whose turn it is first.
    fn in_order(&self, level: &BTreeMap<Line, VecDeque<Entry>>) -> Vec<Line> {
        let mut lines: Vec<(f64, Option<JobId>, &Line)> = Vec::new();
        for (line, entries) in level {
            let first = entries.front().map(|first| first.job);
            lines.push((self.shares.had(&line.0), first, line));
        }
        lines.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        lines.into_iter().map(|(_, _, line)| line.clone()).collect()
    }

    /// The line of the job that was submitted first, among those that no quota keeps waiting.
    fn oldest(&self) -> Option<Place> {
        let lines = self.waiting.iter().flat_map(|(priority, level)| {
            level.iter().map(|(line, entries)| ((*priority, line), entries))
        });
        let open = lines.filter(|(_, entries)| !self.line_is_closed(entries));
        let oldest = open.min_by_key(|(_, entries)| entries.front().map(|first| first.job));
        oldest.map(|((priority, line), _)| (priority, line.clone()))
    }

    /// Gives room to a job that does not wait in a line.
    pub(crate) fn occupy(&mut self, entry: &Entry) {
        self.used = self.used.plus(entry.need);
        self.served += 1;
        self.shares.occupy(&entry.share, entry.need.cores);
        self.gates.enter(&entry.gates, entry.instances);
    }

    /// Takes back the room of a job that was given it. It still counts for quotas.
    pub(crate) fn vacate(&mut self, entry: &Entry) {
        self.used = self.used.minus(entry.need);
        self.shares.release(&entry.share, entry.need.cores);
    }

    /// A job that has given its room back counts for quotas no more.
    pub(crate) fn leave(&mut self, entry: &Entry) {
        self.gates.leave(&entry.gates, entry.instances);
    }

    /// Takes back all that a job was given.
    pub(crate) fn release(&mut self, entry: &Entry) {
        self.vacate(entry);
        self.leave(entry);
    }
}

#[cfg(test)]
mod tests;

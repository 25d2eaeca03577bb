//! Finds the bad records of a block that failed, with as few calls as can be.
//!
//! The search keeps one `suspect` range that is known to fail and in front of which everything has
//! been answered. Each call takes the suspect's first half: if it is answered the culprit is in the
//! second half, else in the first, and the second half joins `rest`. After log2(n) calls the suspect
//! is one record; then `rest` is called as one block and, if it fails too, searched in turn. So k bad
//! records among n cost about k·log2(n) calls and a call for the rest of the block after each.

use std::ops::Range;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Call this range to narrow the search down.
    Search(Range<usize>),
    /// Call what is left of the block behind a culprit.
    Rest(Range<usize>),
    /// This record is bad.
    Reject(usize),
    /// Every record has been answered or rejected.
    Done,
}

/// How the call of the last step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Answered,
    /// `certain`: the records are at fault without a doubt, so that a single suspect needs no call
    /// of its own.
    Failed {
        certain: bool,
    },
}

/// The search through one block of records.
#[derive(Debug)]
pub(crate) struct Isolation {
    suspect: Option<Suspect>,
    rest: Range<usize>,
}

#[derive(Debug)]
struct Suspect {
    range: Range<usize>,
    /// Whether the culprit may be rejected without a call of its own.
    proven: bool,
}

impl Isolation {
    /// Starts with a block of `rows` records whose call failed with `certain`.
    pub(crate) fn new(rows: usize, certain: bool) -> Self {
        Self {
            suspect: Some(Suspect { range: 0..rows, proven: certain || rows == 1 }),
            rest: rows..rows,
        }
    }

    /// The next step. After `Search` and `Rest`, `reply` must be told how the call ended.
    pub(crate) fn step(&mut self) -> Step {
        match &self.suspect {
            Some(suspect) if suspect.range.len() > 1 => {
                let half = suspect.range.start + suspect.range.len() / 2;
                Step::Search(suspect.range.start..half)
            }
            Some(suspect) if suspect.proven => {
                let culprit = suspect.range.start;
                self.suspect = None;
                Step::Reject(culprit)
            }
            Some(suspect) => Step::Search(suspect.range.clone()),
            None if self.rest.is_empty() => Step::Done,
            None => Step::Rest(self.rest.clone()),
        }
    }

    /// Tells how the call that `step` asked for ended.
    pub(crate) fn reply(&mut self, reply: Reply) {
        match (self.suspect.take(), reply) {
            (Some(suspect), Reply::Answered) => {
                let half = suspect.range.start + suspect.range.len() / 2;
                if suspect.range.len() > 1 {
                    let range = half..suspect.range.end;
                    self.suspect = Some(Suspect { range, proven: suspect.proven });
                }
            }
            (Some(suspect), Reply::Failed { certain }) => {
                let half = suspect.range.start + suspect.range.len() / 2;
                let called = if suspect.range.len() > 1 { half } else { suspect.range.end };
                let range = suspect.range.start..called;
                self.rest.start = called;
                let proven = certain || range.len() == 1;
                self.suspect = Some(Suspect { range, proven });
            }
            (None, Reply::Answered) => self.rest.start = self.rest.end,
            (None, Reply::Failed { certain }) => {
                let range = self.rest.clone();
                self.rest.start = self.rest.end;
                let proven = certain || range.len() == 1;
                self.suspect = Some(Suspect { range, proven });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    struct Found {
        answered: Vec<usize>,
        rejected: Vec<usize>,
        searches: usize,
        rests: usize,
    }

    fn search(rows: usize, bad: &BTreeSet<usize>, certain: bool) -> Found {
        let mut isolation = Isolation::new(rows, certain);
        let mut found = Found { answered: Vec::new(), rejected: Vec::new(), searches: 0, rests: 0 };
        loop {
            let range = match isolation.step() {
                Step::Done => return found,
                Step::Reject(row) => {
                    found.rejected.push(row);
                    continue;
                }
                Step::Search(range) => {
                    found.searches += 1;
                    range
                }
                Step::Rest(range) => {
                    found.rests += 1;
                    range
                }
            };
            if bad.range(range.clone()).next().is_some() {
                isolation.reply(Reply::Failed { certain });
            } else {
                found.answered.extend(range);
                isolation.reply(Reply::Answered);
            }
        }
    }

    fn log2(rows: usize) -> usize {
        rows.next_power_of_two().trailing_zeros() as usize
    }

    proptest! {
        #[test]
        fn exactly_the_bad_records_are_rejected_and_the_others_answered_once_in_order(
            rows in 1_usize..300,
            picks in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
            certain: bool,
        ) {
            let bad: BTreeSet<usize> = picks.iter().map(|pick| pick.index(rows)).collect();
            let found = search(rows, &bad, certain);
            prop_assert_eq!(&found.rejected, &bad.iter().copied().collect::<Vec<_>>());
            let good: Vec<usize> = (0..rows).filter(|row| !bad.contains(row)).collect();
            prop_assert_eq!(&found.answered, &good);
            let confirmations = if certain { 0 } else { bad.len() };
            prop_assert!(found.searches <= bad.len() * log2(rows) + confirmations);
            prop_assert!(found.rests <= bad.len());
        }
    }

    #[test]
    fn a_failure_that_does_not_come_back_rejects_nothing() {
        let mut isolation = Isolation::new(8, false);
        let mut answered = Vec::new();
        while let Step::Search(range) | Step::Rest(range) = isolation.step() {
            answered.extend(range);
            isolation.reply(Reply::Answered);
        }
        assert_eq!(isolation.step(), Step::Done);
        assert_eq!(answered, (0..8).collect::<Vec<_>>());
    }
}

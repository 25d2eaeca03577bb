//! Who goes next.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

const MACHINE: Resources = Resources { cores: 4, memory: 100 };

fn entry(job: i64, priority: i32, share: &str, cores: u32, memory: u64) -> Entry {
    Entry {
        job: JobId(job),
        priority,
        rank: 0,
        share: share.into(),
        need: Resources { cores, memory },
        instances: 1,
        gates: Arc::new([]),
        overtaken: 0,
    }
}

fn queue(entries: impl IntoIterator<Item = Entry>) -> Queue {
    let mut queue = Queue::new(MACHINE, Weights::new());
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

fn gated(job: i64, value: &str, instances: u32, limit: u32) -> Entry {
    let gate = Gate { key: GateKey(0, value.into()), limit, label: "q".into() };
    Entry { instances, gates: Arc::new([gate]), ..entry(job, 0, "", 1, 1) }
}

#[test]
fn within_a_share_higher_ranks_go_first() {
    let ranked = |job, rank| Entry { rank, ..entry(job, 0, "a", 1, 1) };
    let mut queue = queue([ranked(1, 0), ranked(2, 5), ranked(3, 0), ranked(4, 5), ranked(5, 9)]);
    assert_eq!(run_all(&mut queue), [5, 2, 4, 1, 3]);
}

#[test]
fn higher_priorities_go_first_and_equals_in_the_order_of_their_coming() {
    let mut queue = queue([entry(1, 0, "a", 1, 1), entry(2, 5, "a", 1, 1), entry(3, 0, "a", 1, 1)]);
    assert_eq!(run_all(&mut queue), [2, 1, 3]);
}

#[test]
fn a_job_that_comes_again_has_the_place_of_its_submission() {
    let mut queue = queue((1..=4).map(|job| entry(job, 0, "a", 4, 1)));
    let first = queue.next().expect("there is room");
    queue.release(&first);
    let second = queue.next().expect("there is room");
    queue.release(&second);
    queue.push(second);
    queue.push(first);
    assert_eq!(run_all(&mut queue), [1, 2, 3, 4]);
}

#[test]
fn shares_take_turns_however_many_jobs_one_of_them_has() {
    let many = (0..6).map(|job| entry(job, 0, "many", 2, 1));
    let few = (10..12).map(|job| entry(job, 0, "few", 2, 1));
    let mut queue = queue(many.chain(few));
    let first = [queue.next(), queue.next()].map(|entry| entry.expect("there is room"));
    assert_eq!(first.each_ref().map(|entry| entry.job.0), [0, 10]);
    assert_eq!(queue.next(), None, "the machine is full");
    queue.release(&first[0]);
    assert_eq!(queue.next().expect("there is room").job.0, 1, "few has half of the machine");
    queue.release(&first[1]);
    assert_eq!(queue.next().expect("there is room").job.0, 11);
}

#[test]
fn a_share_that_comes_late_gets_no_turns_for_the_time_before() {
    let mut queue = queue((0..40).map(|job| entry(job, 0, "early", 4, 1)));
    for hour in 1..=10 {
        let job = queue.next().expect("there is room");
        queue.pass(hour * 3_600_000);
        queue.release(&job);
    }
    (100..140).for_each(|job| queue.push(entry(job, 0, "late", 4, 1)));
    let mut turns = Vec::new();
    for hour in 11..=20 {
        let job = queue.next().expect("there is room");
        turns.push(job.share.to_string());
        queue.pass(hour * 3_600_000);
        queue.release(&job);
    }
    assert_eq!(turns.iter().filter(|share| *share == "late").count(), 5, "{turns:?}");
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
    assert!((PATIENCE - 1..=PATIENCE).contains(&overtook), "{overtook}");
    queue.release(&small);
    assert_eq!(queue.next().expect("the machine is empty").job.0, 2);
}

#[test]
fn a_quota_lets_only_so_many_run_and_the_others_are_not_in_the_way() {
    let mut queue = queue((0..50).map(|job| gated(job, "gpu", 1, 2)));
    queue.push(entry(100, 0, "", 1, 1));
    let running: Vec<Entry> = std::iter::from_fn(|| queue.next()).collect();
    assert_eq!(running.iter().map(|entry| entry.job.0).collect::<Vec<_>>(), [0, 1, 100]);
    let (gate, count) = queue.closed(&running[0].gates, 1).expect("it is full");
    assert_eq!((gate.limit, count), (2, 2));
    queue.release(&running[2]);
    assert_eq!(queue.next(), None, "there is room, and the quota is full");
    queue.release(&running[0]);
    assert_eq!(queue.next().expect("the quota has room").job.0, 2);
}

#[test]
fn a_quota_counts_instances_and_each_value_for_itself() {
    let mut queue = queue([gated(1, "a", 2, 3), gated(2, "a", 2, 3), gated(3, "b", 3, 3)]);
    let running: Vec<i64> = std::iter::from_fn(|| queue.next()).map(|entry| entry.job.0).collect();
    assert_eq!(running, [1, 3]);
    let mut alone = self::queue([gated(1, "a", 9, 3)]);
    assert!(alone.next().is_some(), "it was let in before the quota was set");
}

#[test]
fn low_priorities_have_their_turn_while_high_ones_keep_coming() {
    let mut queue = queue([entry(1, -5, "low", 4, 1)]);
    (10..14).for_each(|job| queue.push(entry(job, 5, "high", 1, 1)));
    let mut running: VecDeque<Entry> = VecDeque::new();
    let mut went = 0;
    loop {
        while let Some(next) = queue.next() {
            went += 1;
            running.push_back(next);
        }
        if running.iter().any(|entry| entry.job.0 == 1) {
            break;
        }
        let done = running.pop_front().expect("something runs");
        queue.release(&done);
        queue.push(entry(100 + i64::from(went), 5, "high", 1, 1));
        assert!(went <= PATIENCE * (PATIENCE + 2), "it starves");
    }
}

proptest! {
    #[test]
    fn room_is_never_given_twice_and_everybody_gets_some(
        jobs in proptest::collection::vec(
            (0_i32..3, 0_usize..3, 0_u32..9, 0_u64..200, 0_usize..3, 1_u32..4), 1..60,
        ),
        ends in proptest::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let shares = ["a", "b", "c"];
        let count = jobs.len();
        let mut queue = queue(jobs.into_iter().zip(0..).map(
            |((priority, share, cores, memory, gate, instances), id)| {
                let gates = gated(id, shares[gate], instances, 3).gates;
                let gates = if gate == 2 { Arc::new([]) } else { gates };
                Entry { instances, gates, ..entry(id, priority, shares[share], cores, memory) }
            },
        ));
        let mut running: Vec<Entry> = Vec::new();
        let mut seen = HashSet::new();
        for (end, now) in ends.into_iter().zip(1..) {
            queue.pass(now * 500);
            while let Some(entry) = queue.next() {
                prop_assert!(seen.insert(entry.job), "{:?} was given room twice", entry.job);
                running.push(entry);
            }
            let used = running.iter().fold(Resources { cores: 0, memory: 0 }, |sum, entry| {
                sum.plus(entry.need)
            });
            prop_assert!(used.fits_in(MACHINE), "{used:?} is more than there is");
            let mut gates: HashMap<GateKey, u32> = HashMap::new();
            for entry in &running {
                for gate in &*entry.gates {
                    *gates.entry(gate.key.clone()).or_default() += entry.instances;
                }
            }
            prop_assert!(gates.values().all(|instances| *instances <= 3), "{gates:?}");
            prop_assert!(!running.is_empty() || queue.len() == 0, "jobs wait for an empty machine");
            if !running.is_empty() {
                queue.release(&running.remove(end.index(running.len())));
            }
        }
        prop_assert_eq!(seen.len(), count);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Shares that always have jobs waiting get core hours by their weights, whatever their jobs
    /// are like.
    #[test]
    fn shares_get_the_machine_by_their_weights(
        weights in proptest::collection::vec(1_u32..5, 2..4),
        lengths in proptest::collection::vec(1_u64..60, 50),
        cores in proptest::collection::vec(1_u32..3, 50),
    ) {
        let names = ["a", "b", "c"];
        let of = |index: usize| (names[index].to_owned(), f64::from(weights[index]));
        let mut queue = Queue::new(MACHINE, (0..weights.len()).map(of).collect());
        let mut ids = 0;
        let mut add = |queue: &mut Queue, share: &str| {
            ids += 1;
            queue.push(entry(ids, 0, share, cores[ids as usize % cores.len()], 1));
        };
        for name in names.iter().take(weights.len()) {
            (0..3).for_each(|_| add(&mut queue, name));
        }
        let mut running: Vec<(u64, Entry)> = Vec::new();
        let mut had: HashMap<String, f64> = HashMap::new();
        for second in 0_u64..4_000 {
            queue.pass(second * 1_000);
            let (done, on): (Vec<_>, Vec<_>) = running.into_iter().partition(|(end, _)| *end <= second);
            running = on;
            for (_, entry) in &done {
                queue.release(entry);
            }
            while let Some(entry) = queue.next() {
                add(&mut queue, &entry.share.clone());
                let length = lengths[entry.job.0 as usize % lengths.len()];
                *had.entry(entry.share.to_string()).or_default() += f64::from(entry.need.cores) * length as f64;
                running.push((second + length, entry));
            }
        }
        let total: f64 = had.values().sum();
        let weight: u32 = weights.iter().sum();
        for (name, own) in names.iter().zip(&weights) {
            let part = had.get(*name).copied().unwrap_or_default() / total;
            let fair = f64::from(*own) / f64::from(weight);
            prop_assert!((part - fair).abs() < 0.05, "{name} of {weights:?} got {part:.3}");
        }
    }
}

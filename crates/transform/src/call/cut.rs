//! Cuts a block of records into payloads.

use std::ops::Range;

/// Cuts records of the given sizes (in bytes) into consecutive payloads of at most `max_rows`
/// records and `max_bytes` bytes each. A record larger than `max_bytes` gets a payload of its own,
/// which the caller rejects. `max_rows` of 0 counts as 1.
pub(crate) fn cut(
    sizes: impl ExactSizeIterator<Item = u64>,
    max_rows: usize,
    max_bytes: u64,
) -> Vec<Range<usize>> {
    let count = sizes.len();
    let mut payloads = Vec::with_capacity(count / max_rows.max(1) + 1);
    let mut start = 0;
    let mut bytes = 0_u64;
    for (index, size) in sizes.enumerate() {
        let full = index - start >= max_rows.max(1) || bytes.saturating_add(size) > max_bytes;
        if index > start && full {
            payloads.push(start..index);
            start = index;
            bytes = 0;
        }
        bytes = bytes.saturating_add(size);
    }
    if start < count {
        payloads.push(start..count);
    }
    payloads
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn payloads_fill_up_to_the_limits() {
        assert_eq!(cut([4, 4, 4, 9, 1].into_iter(), 10, 8), [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(cut([1; 5].into_iter(), 2, 100), [0..2, 2..4, 4..5]);
        assert_eq!(cut(std::iter::empty::<u64>(), 2, 100), Vec::<Range<usize>>::new());
    }

    proptest! {
        #[test]
        fn every_record_is_in_one_payload_in_order_and_no_payload_breaks_a_limit(
            sizes in prop::collection::vec(0_u64..50, 0..200), rows in 1_usize..20, bytes in 1_u64..100
        ) {
            let payloads = cut(sizes.iter().copied(), rows, bytes);
            let covered: Vec<usize> = payloads.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..sizes.len()).collect::<Vec<_>>());
            for payload in &payloads {
                prop_assert!(!payload.is_empty() && payload.len() <= rows);
                let total: u64 = sizes[payload.clone()].iter().sum();
                prop_assert!(total <= bytes || payload.len() == 1);
            }
            for pair in payloads.windows(2) {
                let joined: u64 = sizes[pair[0].start..=pair[1].start].iter().sum();
                prop_assert!(pair[0].len() == rows || joined > bytes, "a payload could hold more");
            }
        }
    }
}

//! "Did you mean": the names closest to one that was not found.

/// The names in `known` closest to `wanted`, best first, at most `most`; none that is too far to help.
#[must_use]
pub fn nearest_names<'a>(
    wanted: &str,
    known: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    let limit = wanted.chars().count().max(3) / 2;
    let folded = wanted.to_lowercase();
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .map(|name| (edit_distance(&folded, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(most).map(|(_, name)| name).collect()
}

/// Levenshtein distance over characters.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_name_comes_first() {
        let known = ["dep_delay", "arr_delay", "distance", "carrier"];
        assert_eq!(nearest_names("depdelay", known, 2), ["dep_delay", "arr_delay"]);
        assert_eq!(nearest_names("Distance", known, 2), ["distance"]);
        assert!(nearest_names("zzzz", known, 2).is_empty());
    }
}

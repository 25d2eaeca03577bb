//! Lists, page by page.

use serde::Deserialize;

/// Which page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Paging {
    marker: Option<String>,
    max_items: Option<usize>,
}

impl Paging {
    /// The items of the page, and the marker of the next. Items are in the order of their keys.
    pub(super) fn page<T>(self, mut items: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
        if let Some(last) = self.marker.filter(|marker| !marker.is_empty()) {
            items.retain(|(key, _)| *key > last);
        }
        let most = self.max_items.unwrap_or(50).clamp(1, 50);
        let next = (items.len() > most).then(|| items[most - 1].0.clone());
        items.truncate(most);
        (items.into_iter().map(|(_, item)| item).collect(), next)
    }
}

/// The key of a number, in whose order numbers are.
pub(super) fn key_of(number: u64) -> String {
    format!("{number:020}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let items = || (1..=5).map(|number| (key_of(number), number)).collect::<Vec<_>>();
        let (mut seen, mut marker) = (Vec::new(), None);
        loop {
            let (page, next) = Paging { marker, max_items: Some(2) }.page(items());
            assert!(page.len() <= 2);
            seen.extend(page);
            if next.is_none() {
                break;
            }
            marker = next;
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }
}

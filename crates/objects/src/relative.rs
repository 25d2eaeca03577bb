//! Names of inputs below their root. They come from listings and from manifests, which are not
//! trusted, and become the names of outputs: a name that leaves its folder must never pass.

/// Whether `name` is safe to join to a folder; if not, why.
pub(crate) fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.starts_with('/') {
        return Err("it begins with `/`");
    }
    if name.contains('\0') {
        return Err("it holds a NUL character");
    }
    for component in name.split('/') {
        match component {
            "" => return Err("it has an empty component"),
            "." => return Err("it has the component `.`"),
            ".." => return Err("it has the component `..`"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a component is one that listings of inputs pass over: `_SUCCESS`, `_rejects`, `.git`.
pub(crate) fn is_hidden(component: &str) -> bool {
    component.starts_with(['_', '.'])
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        for name in ["", "/", "/etc/passwd", "..", "a/..", "../a", "a//b", "a/", "./a", "a\0b"] {
            assert!(check(name).is_err(), "{name:?}");
        }
        for name in ["a", "a/b.parquet", "date=2024-01-01/x.parquet", "..a", "a..", "...", "ä b"] {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_passes_stays_below_its_folder(name in r"[a./\x00\\ ]{0,12}|\PC{0,20}") {
            if check(&name).is_ok() {
                let path = Path::new(&name);
                prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert_eq!(path.components().count(), name.split('/').count());
                prop_assert!(Path::new("/root").join(path).starts_with("/root"));
                prop_assert!(!name.contains('\0'));
            }
        }
    }
}

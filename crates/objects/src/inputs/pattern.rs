//! Which names below a root are inputs. One matcher serves folders and globs, on disk and on S3.

use glob::MatchOptions;

use crate::{error::ObjectsError, relative::is_hidden};

const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// What the components of a name have to look like. A name is taken if it, or a folder that it lies
/// in, matches; so `date=2024-*` takes whole folders. Hidden components are passed over, unless a
/// part of the pattern begins with the same `_` or `.`.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    /// `**`: any number of components.
    AnyDepth,
    /// One component.
    Name(glob::Pattern),
}

/// How far into a pattern the components so far may have led: element `i` says whether `i` parts can
/// be used up.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Vec<bool>);

impl Pattern {
    /// Takes every name that is not hidden.
    pub(crate) fn everything() -> Self {
        Self { parts: Vec::new() }
    }

    /// Divides `text` into its leading folder without wildcards and the pattern below it; `None` if
    /// `text` has no wildcard.
    pub(crate) fn parse(text: &str) -> Result<Option<(&str, Self)>, ObjectsError> {
        let Some(first_wild) = text.find(['*', '?', '[']) else { return Ok(None) };
        let split = text[..first_wild].rfind('/').map_or(0, |slash| slash + 1);
        let (root, rest) = text.split_at(split);
        let mut parts: Vec<Part> = Vec::new();
        for component in rest.split('/').filter(|component| !matches!(*component, "" | ".")) {
            match component {
                ".." => {
                    let message = format!("read pattern `{text}`: `..` follows a wildcard");
                    return Err(ObjectsError::invalid(message));
                }
                "**" if matches!(parts.last(), Some(Part::AnyDepth)) => {}
                "**" => parts.push(Part::AnyDepth),
                name => parts.push(Part::Name(glob::Pattern::new(name).map_err(|error| {
                    let message = format!("read pattern `{text}`: {} in `{name}`", error.msg);
                    ObjectsError::invalid(message)
                })?)),
            }
        }
        Ok(Some((root, Self { parts })))
    }

    /// Whether the file `relative` is taken.
    pub(crate) fn accepts(&self, relative: &str) -> bool {
        let end = relative.split('/').fold(self.start(), |at, component| self.step(&at, component));
        end.is_complete()
    }

    /// The state before the first component.
    pub(crate) fn start(&self) -> Progress {
        let mut reached = vec![false; self.parts.len() + 1];
        reached[0] = true;
        self.skip_any_depth(reached)
    }

    /// The state after one more component.
    pub(crate) fn step(&self, at: &Progress, component: &str) -> Progress {
        let hidden = is_hidden(component);
        let mut reached = vec![false; self.parts.len() + 1];
        for (index, _) in at.0.iter().enumerate().filter(|(_, reachable)| **reachable) {
            match self.parts.get(index) {
                Some(Part::Name(name)) => {
                    let shown = !hidden || name.as_str().as_bytes()[0] == component.as_bytes()[0];
                    reached[index + 1] |= shown && name.matches_with(component, MATCHING);
                }
                // `**`, or all parts are used up: any name goes.
                Some(Part::AnyDepth) | None => reached[index] |= !hidden,
            }
        }
        self.skip_any_depth(reached)
    }

    /// `**` also stands for no component.
    fn skip_any_depth(&self, mut reached: Vec<bool>) -> Progress {
        for (index, part) in self.parts.iter().enumerate() {
            if reached[index] && matches!(part, Part::AnyDepth) {
                reached[index + 1] = true;
            }
        }
        Progress(reached)
    }
}

impl Progress {
    /// Whether what led here is taken, with all that lies in it.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.last().copied().unwrap_or(false)
    }

    /// Whether nothing below what led here can be taken.
    pub(crate) fn is_dead(&self) -> bool {
        !self.0.contains(&true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> (&str, Pattern) {
        Pattern::parse(text).unwrap().expect("a wildcard")
    }

    #[test]
    fn the_leading_folder_has_no_wildcard() {
        assert_eq!(parse("data/2024/*.csv").0, "data/2024/");
        assert_eq!(parse("da?a/x").0, "");
        assert_eq!(parse("/a/b[0-9]").0, "/a/");
        assert!(Pattern::parse("data/x.csv").unwrap().is_none());
    }

    #[test]
    fn patterns_take_what_a_shell_would() {
        let cases = [
            ("*.csv", "x.csv", true),
            ("*.csv", "a/x.csv", false),
            ("**/*.csv", "x.csv", true),
            ("**/*.csv", "a/b/x.csv", true),
            ("**/b/**/*.csv", "a/b/x.csv", true),
            ("**/b/**/*.csv", "a/c/x.csv", false),
            ("d=*/p-?.csv", "d=1/p-7.csv", true),
            ("d=*/p-?.csv", "d=1/p-17.csv", false),
            ("[ab].csv", "c.csv", false),
            ("d=*", "d=1/deep/x.csv", true),
            ("*.parquet", "spark.parquet/part-0", true),
            ("**", "a/b", true),
            ("*", "_SUCCESS", false),
            ("**/*.csv", ".git/x.csv", false),
            ("d=*", "d=1/_tmp/x", false),
            ("_*", "_x", true),
            ("**/_rejects/*.csv", "a/_rejects/x.csv", true),
        ];
        for (pattern, name, taken) in cases {
            assert_eq!(parse(pattern).1.accepts(name), taken, "{pattern} {name}");
        }
        assert!(Pattern::everything().accepts("a/b"));
        assert!(!Pattern::everything().accepts("a/_b/c"));
    }

    #[test]
    fn broken_patterns_are_usage_errors() {
        for text in ["a[", "x**y", "*/../x"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_folder_is_never_given_up_that_holds_a_taken_file(
            pattern in "([ab*]{1,2}/|[*][*]/){0,4}[ab*?]",
            name in "([ab]{1,2}/){0,4}[ab]",
        ) {
            // Components such as `***` are errors, not patterns.
            let Ok(Some((_, pattern))) = Pattern::parse(&pattern) else { return Ok(()) };
            let taken = pattern.accepts(&name);
            let mut at = pattern.start();
            for component in name.split('/') {
                at = pattern.step(&at, component);
                prop_assert!(!(taken && at.is_dead()));
            }
        }
    }
}

//! The models' patterns, which are written for Java.

use regex::Regex;

use super::Shape;

impl Shape {
    /// Whether `text` as a whole is of the shape's pattern. A pattern that can't be had in Rust
    /// (it looks around itself) holds for everything.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        let regex = self.regex.get_or_init(|| compile(pattern));
        regex.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

pub(super) fn compile(pattern: &str) -> Option<Regex> {
    Regex::new(&format!(r"\A(?:{})\z", translated(pattern))).ok()
}

/// `pattern` in the words of the `regex` crate: Java's classes `\d`, `\w` and `\s` are ASCII, its
/// dot takes no line end, and it writes characters beyond 16 bits as surrogates.
fn translated(pattern: &str) -> String {
    let pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}");
    let mut out = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    let mut depth = 0_usize;
    while let Some(character) = characters.next() {
        match character {
            '\\' => match (characters.next(), depth > 0) {
                (Some('d'), true) => out.push_str("0-9"),
                (Some('d'), false) => out.push_str("[0-9]"),
                (Some('w'), true) => out.push_str("a-zA-Z0-9_"),
                (Some('w'), false) => out.push_str("[a-zA-Z0-9_]"),
                (Some('s'), true) => out.push_str(r" \t\n\x0B\f\r"),
                (Some('s'), false) => out.push_str(r"[ \t\n\x0B\f\r]"),
                (Some('p'), _) if named(&mut characters, "{Alnum}") => {
                    out.push_str("[a-zA-Z0-9]");
                }
                (Some(other), _) => out.extend(['\\', other]),
                (None, _) => out.push('\\'),
            },
            '[' => {
                depth += 1;
                out.push('[');
            }
            ']' => {
                depth = depth.saturating_sub(1);
                out.push(']');
            }
            // Java takes a hyphen behind a range or a class for itself.
            '-' if depth > 0 => out.push_str(hyphen(&out, characters.peek().copied())),
            '.' if depth == 0 => out.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]"),
            other => out.push(other),
        }
    }
    out
}

/// Takes `name` from `characters` if it comes next.
fn named(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, name: &str) -> bool {
    let follows = characters.clone().take(name.len()).eq(name.chars());
    if follows {
        characters.nth(name.len() - 1);
    }
    follows
}

/// A hyphen within a class: literal where it can't be a range's.
fn hyphen(before: &str, after: Option<char>) -> &'static str {
    let behind_class = ["0-9", "a-z", "A-Z", "0-9_"].iter().any(|end| before.ends_with(end));
    let at_an_end = before.ends_with('[') || after == Some(']');
    if behind_class || at_an_end { r"\-" } else { "-" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services;

    #[test]
    fn patterns_mean_what_java_means() {
        for (pattern, yes, no) in [
            (r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "job-1", "job_1"),
            (r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "job", "job\n"),
            (r"[\S\s]*", "any\nthing", ""),
            (r"\d+", "12", "١٢"),
            (r"[\w-]+", "a_b-c", "é"),
            (r".*", "a", "a\nb"),
            (r"[a-zA-Z0-9-_.]+", "a-_.", "a+"),
            (r"arn:[\p{Alnum}\-]+:x", "arn:a-1:x", "arn:a_1:x"),
            (r"[ -\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*", "a\u{1F600}", "\u{1}"),
            (r"\/aws\/.+", "/aws/x", "/aws/"),
        ] {
            let regex = compile(pattern).unwrap_or_else(|| panic!("{pattern}"));
            assert!(regex.is_match(yes), "{pattern} {yes:?}");
            if !no.is_empty() {
                assert!(!regex.is_match(no), "{pattern} {no:?}");
            }
        }
    }

    #[test]
    fn all_patterns_but_these_compile() {
        let mut left_out = std::collections::BTreeSet::new();
        for service in services() {
            let patterns = service.shapes.values().filter_map(|shape| shape.pattern.as_deref());
            left_out.extend(patterns.filter(|pattern| compile(pattern).is_none()));
        }
        // All but the last look around themselves; the last is beyond the size limit of `regex`.
        let expected = [
            r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)",
            r"(?=.{1,1024}$)(https)://([^/]+)/(.+)",
            r"(?=.{1,256}$)arn:aws[a-z\-]*:cloudformation:[a-z0-9\-]*:[0-9]{12}:stack/[a-zA-Z][a-zA-Z0-9-]{0,127}/.*",
            r"(?=.{1,32}$)[a-zA-Z0-9](-*[a-zA-Z0-9])*",
            r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)",
            r"(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z\-]*\/)?([a-zA-Z0-9]([a-zA-Z0-9-]){0,62})(?<!-)",
            r"(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z\-]*\/)?([a-zA-Z0-9]([a-zA-Z0-9-]){0,62})(?<!-)(\/[0-9]{1,9})?",
            r"/(?!.*\.\.)[a-zA-Z0-9/_.\-]+",
            r"[0-9A-Za-z\.\-_]*(?<!\.)",
            r"[\p{L}\p{M}\p{Z}\p{N}\p{P}]{0,1024}",
        ];
        assert_eq!(left_out.into_iter().collect::<Vec<_>>(), expected);
    }
}

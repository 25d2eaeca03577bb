//! The AWS tools' own files, `~/.aws/credentials` and `~/.aws/config`.

use std::collections::HashMap;

/// The settings of each section, by the section's name. Settings nested below another (indented
/// lines) are passed over; of two with one name the later counts.
pub(super) fn parse(text: &str) -> HashMap<String, HashMap<String, String>> {
    let mut sections: HashMap<String, HashMap<String, String>> = HashMap::new();
    let mut current = None;
    for line in text.lines() {
        if line.starts_with([' ', '\t', '#', ';']) || line.trim().is_empty() {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let name = header.split(']').next().unwrap_or_default().trim().to_owned();
            sections.entry(name.clone()).or_default();
            current = Some(name);
        } else if let (Some((name, value)), Some(section)) = (line.split_once('='), &current) {
            let value = without_comment(value).trim().to_owned();
            let section = sections.entry(section.clone()).or_default();
            section.insert(name.trim().to_ascii_lowercase(), value);
        }
    }
    sections
}

/// A comment after a value begins with a space and `#` or `;`.
fn without_comment(value: &str) -> &str {
    let ends = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark));
    ends.min().map_or(value, |end| &value[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_hold_their_settings() {
        let text = "\u{20}stray = 1\norphan = 1\n# c\n[default]\nRegion = eu-west-1 # home\n\n[profile  dev ]\n\
            s3 =\n    addressing_style = path\nkey=a=b#c\n[default]\nregion=us-east-1\n";
        let sections = parse(text);
        assert_eq!(sections.len(), 2);
        assert_eq!(sections["default"]["region"], "us-east-1");
        assert_eq!(sections["profile  dev"]["key"], "a=b#c");
        assert!(!sections["profile  dev"].contains_key("addressing_style"));
    }
}

//! Patterns over unstructured text: words that must all be there, `?word` of which one must be,
//! `-word` that must not be, quoted phrases, and `%expressions%`.

use regex::Regex;

use super::{scanner::Scanner, test::regex};

/// What a text has to hold.
#[derive(Debug, Default)]
pub(crate) struct Words {
    all: Vec<Word>,
    any: Vec<Word>,
    none: Vec<Word>,
}

#[derive(Debug)]
enum Word {
    Text(String),
    Regex(Regex),
}

impl Word {
    fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Text(word) => text.contains(word.as_str()),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl Words {
    pub(super) fn parse(scanner: &mut Scanner<'_>) -> Result<Self, String> {
        let mut words = Self::default();
        while !scanner.is_at_end() {
            let into = if scanner.eat_here("?") {
                &mut words.any
            } else if scanner.eat_here("-") {
                &mut words.none
            } else {
                &mut words.all
            };
            into.push(if scanner.eat_here("\"") {
                Word::Text(scanner.quoted('"')?)
            } else if scanner.eat_here("%") {
                Word::Regex(regex(&scanner.quoted('%')?)?)
            } else {
                Word::Text(scanner.until(char::is_whitespace).to_owned())
            });
        }
        Ok(words)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.all.iter().all(|word| word.is_in(text))
            && (self.any.is_empty() || self.any.iter().any(|word| word.is_in(text)))
            && !self.none.iter().any(|word| word.is_in(text))
    }
}

#[cfg(test)]
mod tests {
    use crate::logs::pattern::tests::check;

    #[test]
    fn words_phrases_and_their_signs() {
        check("", &["anything", ""], &[]);
        check("ERROR", &["an ERROR here", "UNERRORED"], &["an error here"]);
        check("one two", &["two and one"], &["one"]);
        check("\"exit code\" -0", &["exit code 1"], &["exit code 0", "code exit"]);
        check("?WARN ?ERROR", &["WARN", "an ERROR"], &["INFO"]);
        check(r#""say \"yes\"""#, &[r#"they say "yes""#], &["they say yes"]);
        check("-\"a b\"", &["a c b"], &["x a b y"]);
    }

    #[test]
    fn expressions() {
        check("%^E[0-9]+%", &["E12 happened"], &["an E12", "E"]);
        check(
            "job %f(ai|oo)led%".replace("(ai|oo)", "a?i?").as_str(),
            &["job failed"],
            &["job fooled"],
        );
    }
}

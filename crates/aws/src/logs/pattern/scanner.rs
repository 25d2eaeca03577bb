//! Reading a pattern's text from left to right.

/// What is left of a pattern.
pub(super) struct Scanner<'t> {
    rest: &'t str,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text.trim() }
    }

    /// Goes past white space, then past `token` if it is next.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        self.eat_here(token)
    }

    /// Goes past `token` if it is next, with nothing before it.
    pub(super) fn eat_here(&mut self, token: &str) -> bool {
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Like [`Self::eat`], where its absence is an error.
    pub(super) fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(format!("`{token}` is expected {}", self.place()))
        }
    }

    /// That nothing is left.
    pub(super) fn end(&mut self) -> Result<(), String> {
        if self.is_at_end() { Ok(()) } else { Err(format!("nothing is expected {}", self.place())) }
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.is_empty()
    }

    /// The characters up to one that `ends` the token.
    pub(super) fn until(&mut self, ends: impl Fn(char) -> bool) -> &'t str {
        let (token, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    /// A text between two of `mark`, the first of which is past. A backslash keeps a mark.
    pub(super) fn quoted(&mut self, mark: char) -> Result<String, String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, next)) = characters.next() {
            match next {
                '\\' if characters.as_str().starts_with(mark) => {
                    text.push(mark);
                    characters.next();
                }
                next if next == mark => {
                    self.rest = &self.rest[at + mark.len_utf8()..];
                    return Ok(text);
                }
                next => text.push(next),
            }
        }
        Err(format!("a `{mark}` is not closed"))
    }

    /// Where the scanner is, for error messages.
    pub(super) fn place(&self) -> String {
        if self.rest.is_empty() {
            "at the end".to_owned()
        } else {
            format!("before `{}`", self.rest)
        }
    }
}

//! Reading tables of a TOML file key by key. What was not asked for is not known, and what can't be
//! read is told with its line; reading goes on, so that all problems are told at once.

use std::{cell::RefCell, path::Path};

use bessemer_domain::nearest_names;
use toml::de::{DeTable, DeValue};

use crate::{error::Problem, values::Setting};

/// A file under reading.
pub(crate) struct Source<'s> {
    pub(crate) file: &'s Path,
    pub(crate) text: &'s str,
    problems: RefCell<Vec<Problem>>,
}

impl<'s> Source<'s> {
    pub(crate) fn new(file: &'s Path, text: &'s str) -> Self {
        Self { file, text, problems: RefCell::default() }
    }

    pub(crate) fn refuse(&self, at: usize, key: impl Into<String>, message: impl Into<String>) {
        let before = self.text.get(..at).unwrap_or(self.text);
        self.problems.borrow_mut().push(Problem {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            key: key.into(),
            message: message.into(),
        });
    }

    pub(crate) fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }
}

/// A table of the file.
pub(crate) struct Table<'t, 's> {
    source: &'t Source<'s>,
    /// How its keys begin: `server.`, or nothing at the top.
    prefix: String,
    at: usize,
    entries: &'t DeTable<'t>,
    known: RefCell<Vec<&'static str>>,
}

impl<'t, 's> Table<'t, 's> {
    pub(crate) fn top(source: &'t Source<'s>, entries: &'t DeTable<'t>) -> Self {
        Self { source, prefix: String::new(), at: 0, entries, known: RefCell::default() }
    }

    fn within(&self, name: &str, at: usize, entries: &'t DeTable<'t>) -> Self {
        let prefix = format!("{}{name}.", self.prefix);
        Self { source: self.source, prefix, at, entries, known: RefCell::default() }
    }

    /// The file that it is in.
    pub(crate) fn file(&self) -> &'s Path {
        self.source.file
    }

    fn find(&self, key: &'static str) -> Option<(usize, &'t DeValue<'t>)> {
        self.known.borrow_mut().push(key);
        let (_, value) = self.entries.iter().find(|(name, _)| name.get_ref().as_ref() == key)?;
        Some((value.span().start, value.get_ref()))
    }

    /// Whether `key` is there, which it need not be known for.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.get_ref().as_ref() == key)
    }

    /// Tells that `key`, or the table if it has none, can't stay as it is.
    pub(crate) fn refuse(&self, key: &str, message: impl Into<String>) {
        let entry = self.entries.iter().find(|(name, _)| name.get_ref().as_ref() == key);
        let at = entry.map_or(self.at, |(name, _)| name.span().start);
        self.source.refuse(at, format!("{}{key}", self.prefix), message);
    }

    /// The value of `key`, if it is there.
    pub(crate) fn maybe<T: Setting>(&self, key: &'static str) -> Option<T> {
        let (at, value) = self.find(key)?;
        match T::read(value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.source.refuse(at, format!("{}{key}", self.prefix), message);
                None
            }
        }
    }

    /// The value of `key`, or `default`.
    pub(crate) fn or<T: Setting>(&self, key: &'static str, default: T) -> T {
        self.maybe(key).unwrap_or(default)
    }

    /// The value of `key`, which has to be there.
    pub(crate) fn required<T: Setting>(&self, key: &'static str) -> Option<T> {
        if !self.has(key) {
            self.known.borrow_mut().push(key);
            self.refuse(key, "is missing");
            return None;
        }
        self.maybe(key)
    }

    /// The values of the table's keys, whatever they are named.
    pub(crate) fn every<T: Setting>(&self) -> Vec<(String, T)> {
        let mut read = Vec::new();
        for (name, value) in self.entries {
            match T::read(value.get_ref()) {
                Ok(value) => read.push((name.get_ref().to_string(), value)),
                Err(message) => {
                    let key = format!("{}{}", self.prefix, name.get_ref());
                    self.source.refuse(value.span().start, key, message);
                }
            }
        }
        read
    }

    /// The table of `key`, if it is there.
    pub(crate) fn table(&self, key: &'static str) -> Option<Self> {
        match self.find(key)? {
            (at, DeValue::Table(entries)) => Some(self.within(key, at, entries)),
            (at, _) => {
                let message = format!("is a section: write `[{}{key}]`", self.prefix);
                self.source.refuse(at, format!("{}{key}", self.prefix), message);
                None
            }
        }
    }

    /// The tables of `key`, in order.
    pub(crate) fn tables(&self, key: &'static str) -> Vec<Self> {
        let Some((at, value)) = self.find(key) else { return Vec::new() };
        let refuse = |at: usize| {
            let message = format!("is a list of sections: write `[[{}{key}]]`", self.prefix);
            self.source.refuse(at, format!("{}{key}", self.prefix), message);
        };
        let DeValue::Array(values) = value else {
            refuse(at);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for value in values {
            match value.get_ref() {
                DeValue::Table(entries) => {
                    tables.push(self.within(key, value.span().start, entries));
                }
                _ => refuse(value.span().start),
            }
        }
        tables
    }

    /// Refuses the keys that nobody asked for.
    pub(crate) fn finish(self) {
        let known = self.known.borrow();
        for (name, _) in self.entries {
            let key = name.get_ref().as_ref();
            if known.contains(&key) {
                continue;
            }
            let near = nearest_names(key, known.iter().copied(), 1);
            let hint = match near.first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.refuse(key, format!("is not a setting; {hint}"));
        }
    }
}

//! Listing a bucket: keys in the order of their bytes, pages, and keys rolled up to prefixes.

use std::{ops::ControlFlow, os::fd::OwnedFd};

use super::{
    BucketDir, BucketError, BucketName, ObjectInfo, beneath, key::MAX_KEY, list_level,
    list_level::Item,
};

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// What the keys start with.
    pub prefix: String,
    /// Keys that hold this after the prefix are rolled up to the part that ends with it.
    pub delimiter: Option<String>,
    /// Only what comes after this key. If it ends with the delimiter, also after all keys that it
    /// stands for.
    pub after: String,
    /// How many entries a page has at most.
    pub limit: usize,
}

/// An entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most entries are objects")]
pub enum Entry {
    /// An object.
    Object {
        /// Its key.
        key: String,
        /// What is known of it.
        info: ObjectInfo,
    },
    /// What the keys of several objects start with, up to the delimiter.
    Prefix(String),
}

impl Entry {
    /// The key or the prefix: what the next page comes after.
    pub fn name(&self) -> &str {
        match self {
            Self::Object { key, .. } => key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries in the order of their bytes.
    pub entries: Vec<Entry>,
    /// Whether there are more.
    pub is_truncated: bool,
}

impl BucketDir {
    /// A page of what `bucket` holds.
    pub fn list(&self, bucket: &BucketName, request: &ListRequest) -> Result<Page, BucketError> {
        let folder = self.bucket(bucket)?;
        let mut walk = Walk {
            dir: self,
            bucket: &folder,
            request,
            rolled_up: request.rolled_up(&request.after).filter(|up| *up == request.after),
            page: Page::default(),
        };
        // The folders that the prefix names whole need not be searched for.
        if request.limit > 0 {
            let _ = walk.folder(&mut Vec::new(), "")?;
        }
        Ok(walk.page)
    }
}

impl ListRequest {
    /// What `key`, which starts with the prefix, is rolled up to, if it is.
    fn rolled_up(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let rest = key.strip_prefix(&self.prefix)?;
        let end = rest.find(delimiter)? + delimiter.len();
        Some(key[..self.prefix.len() + end].to_owned())
    }

    /// Whether keys that start with `start` can be asked for.
    fn may_hold(&self, start: &str) -> bool {
        let asked = start.starts_with(&self.prefix) || self.prefix.starts_with(start);
        let left = start > self.after.as_str() || self.after.starts_with(start);
        asked && left
    }
}

struct Walk<'a> {
    dir: &'a BucketDir,
    bucket: &'a OwnedFd,
    request: &'a ListRequest,
    /// The last prefix that is in the listing, or was in an earlier page.
    rolled_up: Option<String>,
    page: Page,
}

/// Goes on until the page is full.
type Step = Result<ControlFlow<()>, BucketError>;

impl Walk<'_> {
    /// Lists the folder `names`, whose objects' keys start with `start`.
    fn folder(&mut self, names: &mut Vec<String>, start: &str) -> Step {
        for item in list_level::read(self.bucket, names)? {
            let depth = names.len();
            names.extend(item.names.iter().cloned());
            let step = self.item(names, &item, format!("{start}{}", item.text))?;
            names.truncate(depth);
            if step.is_break() {
                return Ok(step);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn item(&mut self, names: &mut Vec<String>, item: &Item, text: String) -> Step {
        if self.rolled_up.as_ref().is_some_and(|prefix| text.starts_with(prefix)) {
            return Ok(ControlFlow::Continue(()));
        }
        if item.is_folder {
            if !self.request.may_hold(&text) || text.len() > MAX_KEY {
                return Ok(ControlFlow::Continue(()));
            }
            let whole = !self.request.after.starts_with(&text);
            let prefix = self.request.rolled_up(&text).filter(|_| whole);
            let Some(prefix) = prefix else { return self.folder(names, &text) };
            if !list_level::holds_object(self.bucket, names)? {
                return Ok(ControlFlow::Continue(()));
            }
            return Ok(self.add_prefix(prefix));
        }
        let asked = text.starts_with(&self.request.prefix) && text > self.request.after;
        if !asked || text.len() > MAX_KEY {
            return Ok(ControlFlow::Continue(()));
        }
        match self.request.rolled_up(&text) {
            Some(prefix) => Ok(self.add_prefix(prefix)),
            None => self.add_object(names, text),
        }
    }

    fn add_prefix(&mut self, prefix: String) -> ControlFlow<()> {
        self.rolled_up = Some(prefix.clone());
        self.add(Entry::Prefix(prefix))
    }

    fn add_object(&mut self, names: &[String], key: String) -> Step {
        let failed = |error| BucketError::io("open a listed object", error);
        let Some((name, folders)) = names.split_last() else {
            return Ok(ControlFlow::Continue(()));
        };
        let file = beneath::open_file(self.bucket, folders, name).map_err(failed)?;
        // It is gone, or has moved into a folder of its own path.
        let file = match file {
            Some(file) => file,
            None => match beneath::open_file(self.bucket, names, super::key::SELF) {
                Ok(Some(file)) => file,
                Ok(None) => return Ok(ControlFlow::Continue(())),
                Err(error) => return Err(failed(error)),
            },
        };
        let info = self.dir.info(&file)?;
        Ok(self.add(Entry::Object { key, info }))
    }

    fn add(&mut self, entry: Entry) -> ControlFlow<()> {
        if self.page.entries.len() == self.request.limit {
            self.page.is_truncated = true;
            return ControlFlow::Break(());
        }
        self.page.entries.push(entry);
        ControlFlow::Continue(())
    }
}

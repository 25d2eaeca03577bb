//! The texts of enums whose every variant has a name.

/// Shows values as their `as_str` names them, and finds them among `ALL` by that name. Another text is an
/// `$error` of that text.
macro_rules! named {
    ($error:ident: $($name:ty),+) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
                found.ok_or_else(|| $error(text.to_owned()))
            }
        }
    )+};
}

pub(crate) use named;

//! The names by which functions and layers are called.

use super::error::Error;
use crate::{caller::Caller, platform::ACCOUNT};

/// A function that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FunctionName {
    pub(super) name: String,
    /// A version or an alias.
    pub(super) qualifier: Option<String>,
    /// Its ARN, without a qualifier.
    pub(super) arn: String,
}

impl FunctionName {
    /// The function that `text` names: `f`, `f:1`, `000000000000:function:f`, or an ARN. `qualifier` is
    /// what is said beside it.
    pub(super) fn parse(
        caller: &Caller,
        text: &str,
        qualifier: Option<String>,
    ) -> Result<Self, Error> {
        let rest = match text.strip_prefix("arn:") {
            // Behind partition, service and region.
            Some(arn) => arn.splitn(4, ':').nth(3).unwrap_or_default(),
            None => text,
        };
        let (account, rest) = match rest.split_once(":function:") {
            Some((account, rest)) => (account, rest),
            None => (ACCOUNT, rest.strip_prefix("function:").unwrap_or(rest)),
        };
        let (name, own) = match rest.split_once(':') {
            Some((name, own)) => (name, Some(own.to_owned())),
            None => (rest, None),
        };
        if account != ACCOUNT {
            return Err(Error::missing(format!("Function not found: {text}")));
        }
        if own.is_some() && qualifier.is_some() && own != qualifier {
            return Err(Error::invalid(
                "The derived qualifier from the function name does not match the specified \
                 qualifier.",
            ));
        }
        let arn = caller.arn("lambda", &format!("function:{name}"));
        Ok(Self { name: name.to_owned(), qualifier: own.or(qualifier), arn })
    }

    /// The same without a qualifier, where only a function as a whole can be meant.
    pub(super) fn whole(caller: &Caller, text: &str) -> Result<Self, Error> {
        let name = Self::parse(caller, text, None)?;
        match name.qualifier.as_deref() {
            None | Some("$LATEST") => Ok(name),
            Some(_) => Err(Error::invalid(
                "This operation is permitted on Lambda functions only. Aliases and versions do not \
                 support this operation. Please specify either a function name or an unqualified \
                 function ARN.",
            )),
        }
    }
}

/// The name of a layer, of which this may be the ARN.
pub(super) fn layer_name(text: &str) -> &str {
    if text.starts_with("arn:") { text.split(':').nth(6).unwrap_or(text) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_many_names() {
        let caller =
            Caller { access_key: String::new(), read_only: false, region: "eu-west-1".to_owned() };
        for (text, expected) in [
            ("f", ("f", None)),
            ("f:1", ("f", Some("1"))),
            ("f:$LATEST", ("f", Some("$LATEST"))),
            ("function:f", ("f", None)),
            ("000000000000:function:f", ("f", None)),
            ("000000000000:function:f:live", ("f", Some("live"))),
            ("arn:aws:lambda:eu-west-1:000000000000:function:f", ("f", None)),
            ("arn:aws:lambda:eu-west-1:000000000000:function:f:2", ("f", Some("2"))),
        ] {
            let name = FunctionName::parse(&caller, text, None).unwrap();
            assert_eq!((name.name.as_str(), name.qualifier.as_deref()), expected, "{text}");
            assert_eq!(name.arn, "arn:aws:lambda:eu-west-1:000000000000:function:f");
        }
        let parse =
            |text, qualifier: &str| FunctionName::parse(&caller, text, Some(qualifier.to_owned()));
        assert!(parse("f:1", "2").is_err());
        assert_eq!(parse("f:1", "1").unwrap().qualifier.as_deref(), Some("1"));
        assert!(FunctionName::parse(&caller, "123456789012:function:f", None).is_err());
        assert!(FunctionName::whole(&caller, "f:1").is_err());
        assert_eq!(layer_name("arn:aws:lambda:eu-west-1:000000000000:layer:l"), "l");
    }
}

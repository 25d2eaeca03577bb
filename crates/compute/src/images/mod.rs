//! What stands for a container image: a Python environment, and what runs in it.
//!
//! A job names an image; no image is ever fetched. [`Images`] maps its URI to an environment by
//! patterns, the first that matches. Those built in stand for what AWS's SDKs name.

use crate::EnvSpec;

/// The Python of images that don't say which.
const PYTHON: &str = "3.11";

/// Which image stands for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Looked at in this order.
    pub rules: Vec<ImageRule>,
}

/// What images of a kind stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRule {
    /// What the whole URI has to look like; `*` stands for anything.
    pub pattern: String,
    /// The Python's version. None: that of the image's name or tag, such as `3.12` of
    /// `python:3.12-slim`, or 3.11 if they have none.
    pub python: Option<String>,
    /// Lines of a requirements file.
    pub requirements: Vec<String>,
    /// What runs if a job names no program.
    pub entry: ImageEntry,
    /// The image of Docker that runs instead of an environment.
    pub container: Option<String>,
}

/// What an image runs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageEntry {
    /// Nothing: the job has to say.
    Nothing,
    /// This command, which a job's own command is the arguments of.
    Program(Vec<String>),
    /// This command, for training jobs.
    Train(Vec<String>),
    /// The training of an XGBoost model from its hyperparameters and channels.
    XgBoost,
}

/// What an image stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What it holds.
    pub environment: EnvSpec,
    /// What runs if a job names no program.
    pub entry: ImageEntry,
}

/// An image that nothing stands for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the image `{uri}` stands for nothing here: images are not fetched, each is mapped to a Python \
     environment; known are {known}; hint: name one of these, or map it \
     by `[[images]]` in bessemer.toml"
)]
pub struct UnknownImage {
    /// The image.
    pub uri: String,
    /// The patterns that there are.
    pub known: String,
}

impl Images {
    /// The image of Docker that stands for the image `uri`, if one does.
    #[must_use]
    pub fn container(&self, uri: &str) -> Option<&str> {
        let rule = self.rules.iter().find(|rule| matches(&rule.pattern, uri))?;
        rule.container.as_deref()
    }

    /// What the image `uri` stands for.
    pub fn find(&self, uri: &str) -> Result<Image, UnknownImage> {
        let rule = self.rules.iter().find(|rule| matches(&rule.pattern, uri));
        let Some(rule) = rule else {
            let patterns: Vec<String> =
                self.rules.iter().map(|rule| format!("`{}`", rule.pattern)).collect();
            return Err(UnknownImage { uri: uri.to_owned(), known: patterns.join(", ") });
        };
        let python = rule.python.clone().or_else(|| version_of(uri));
        let environment = EnvSpec {
            python: python.unwrap_or_else(|| PYTHON.to_owned()),
            requirements: rule.requirements.clone(),
        };
        Ok(Image { environment, entry: rule.entry.clone() })
    }
}

impl Default for Images {
    /// What AWS's SDKs name.
    fn default() -> Self {
        let aws = ImageEntry::Program(vec!["aws".to_owned()]);
        let known: [(&str, &str, ImageEntry); 9] = [
            ("*sagemaker-scikit-learn:*", include_str!("scikit-learn.txt"), ImageEntry::Nothing),
            ("*sagemaker-xgboost:*", include_str!("xgboost.txt"), ImageEntry::XgBoost),
            ("*/xgboost:*", include_str!("xgboost.txt"), ImageEntry::XgBoost),
            ("*pytorch-training:*", include_str!("pytorch.txt"), ImageEntry::Nothing),
            ("*pytorch-inference:*", include_str!("pytorch.txt"), ImageEntry::Nothing),
            ("*base-python*", include_str!("python.txt"), ImageEntry::Nothing),
            ("python:*", include_str!("python.txt"), ImageEntry::Nothing),
            ("*/python:*", include_str!("python.txt"), ImageEntry::Nothing),
            ("*aws-cli*", include_str!("aws-cli.txt"), aws),
        ];
        let of = |(pattern, requirements, entry): (&str, &str, ImageEntry)| ImageRule {
            pattern: pattern.to_owned(),
            python: (!pattern.contains("python")).then(|| PYTHON.to_owned()),
            requirements: requirements.lines().map(str::to_owned).collect(),
            entry,
            container: None,
        };
        Self { rules: known.into_iter().map(of).collect() }
    }
}

/// Whether `text` is what `pattern` says, whose `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

/// `3.12` of `…/python:3.12.1-slim`, `3.10` of `…/sagemaker-base-python-310:1.0`: images whose name is
/// of Python say which.
fn version_of(uri: &str) -> Option<String> {
    let image = uri.rsplit('/').next()?;
    let (name, tag) = image.split_once(':').unwrap_or((image, ""));
    let (_, rest) = name.split_once("python")?;
    let minor = rest.strip_prefix("-3").or_else(|| tag.strip_prefix("3."))?;
    let digits = minor.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| format!("3.{}", &minor[..digits]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_of_sdks_stand_for_environments() {
        let images = Images::default();
        let holds = |uri: &str, package: &str| {
            let image = images.find(uri).unwrap();
            assert!(
                image.environment.requirements.iter().any(|line| line.starts_with(package)),
                "{uri}"
            );
            image
        };
        let account = "246618743249.dkr.ecr.us-west-2.amazonaws.com";
        let of = |name: &str| format!("{account}/{name}");
        holds(&of("sagemaker-scikit-learn:1.2-1-cpu-py3"), "scikit-learn==1.");
        let xgboost = holds(&of("sagemaker-xgboost:1.7-1"), "xgboost-cpu==");
        assert_eq!(xgboost.entry, ImageEntry::XgBoost);
        holds(&of("pytorch-training:2.3.0-cpu-py311-ubuntu20.04-sagemaker"), "torch==2.");
        holds("public.ecr.aws/aws-cli/aws-cli:latest", "awscli==");
        assert_eq!(holds(&of("sagemaker-base-python-310:1.0"), "pip==").environment.python, "3.10");
        assert_eq!(holds("python:3.12-slim", "pip==").environment.python, "3.12");
        assert_eq!(holds("python:latest", "pip==").environment.python, "3.11");
    }

    #[test]
    fn an_image_that_is_not_mapped_is_told_with_those_that_are() {
        let error = Images::default().find("local/img:1").unwrap_err().to_string();
        assert!(error.contains("`local/img:1`") && error.contains("`python:*`"), "{error}");
    }

    #[test]
    fn patterns_match_whole_uris() {
        for (pattern, text, expected) in [
            ("python:*", "python:3", true),
            ("python:*", "my/python:3", false),
            ("*/python:*", "a/b/python:3", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("a*a", "a", false),
            ("a", "a", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}

//! A user's own requirements on top of an environment.

use super::EnvSpec;

/// A package that another one takes the place of: name, and the one that it stands for.
const STAND_INS: [(&str, &str); 1] = [("xgboost-cpu", "xgboost")];

/// A line of a requirements file that is not the name of a package, perhaps with versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` of the requirements is not the name of a package with versions; options, links and \
     folders are not installed"
)]
pub struct UnplainRequirement(pub String);

/// The lines of a requirements file, without comments. Only names of packages are taken, with extras,
/// versions and markers: anything else could have the user's own code run by whoever installs it.
pub fn plain_requirements(text: &str) -> Result<Vec<String>, UnplainRequirement> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = name(line);
        let rest = line[name.len()..].trim_start();
        let is_plain = name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && (rest.is_empty() || rest.starts_with(['[', '<', '>', '=', '!', '~', ';']))
            && !line.contains("://");
        if !is_plain {
            return Err(UnplainRequirement(line.to_owned()));
        }
        lines.push(line.to_owned());
    }
    Ok(lines)
}

impl EnvSpec {
    /// The same with `own`, which go before what they name, too.
    #[must_use]
    pub fn with(&self, own: &[String]) -> Self {
        self.joined(own, |line| line)
    }

    /// The same with `own`, and of what was there only the names: any version that goes with them.
    #[must_use]
    pub fn loosely_with(&self, own: &[String]) -> Self {
        self.joined(own, name)
    }

    fn joined(&self, own: &[String], kept: fn(&str) -> &str) -> Self {
        let named: Vec<String> = own.iter().map(|line| normal(name(line))).collect();
        let is_replaced = |line: &&String| {
            let base = normal(name(line));
            let alias = STAND_INS.iter().find(|(stand_in, _)| *stand_in == base);
            named.iter().any(|name| *name == base || alias.is_some_and(|(_, of)| name == of))
        };
        let base = self.requirements.iter().filter(|line| !is_replaced(line));
        let base = base.map(|line| kept(line).to_owned());
        Self {
            python: self.python.clone(),
            requirements: base.chain(own.iter().cloned()).collect(),
        }
    }
}

/// The package's name at the start of a line.
fn name(line: &str) -> &str {
    let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    &line[..line.bytes().take_while(|byte| is_in_name(byte)).count()]
}

/// A name as packages are told apart by.
fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_packages_are_taken() {
        let text = "# mine\n\nnumpy\npandas >= 2  # new\nmlflow[extras]==2.1; python_version>'3'\n";
        let expected = ["numpy", "pandas >= 2", "mlflow[extras]==2.1; python_version>'3'"];
        assert_eq!(plain_requirements(text).unwrap(), expected);
        for line in [
            "-e .",
            "--index-url https://x",
            "-r other.txt",
            "./wheel.whl",
            "git+https://x/y",
            "name @ https://x/y.whl",
            "name@file:///etc",
            "/etc/x",
        ] {
            assert!(plain_requirements(line).is_err(), "{line}");
        }
    }

    #[test]
    fn own_requirements_go_before_those_of_the_image() {
        let base = EnvSpec {
            python: "3.11".to_owned(),
            requirements: ["Scikit_Learn==1.5", "xgboost-cpu==3.0", "six==1.1"]
                .map(String::from)
                .into(),
        };
        let own = ["scikit-learn==1.2".to_owned(), "xgboost".to_owned()];
        assert_eq!(base.with(&own).requirements, ["six==1.1", "scikit-learn==1.2", "xgboost"]);
        assert_eq!(base.loosely_with(&own).requirements, ["six", "scikit-learn==1.2", "xgboost"]);
    }
}

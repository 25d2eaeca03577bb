//! How S3 is reached: the usual variables first, then the AWS tools' files.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use bessemer_domain::nearest_names;
use object_store::aws::AmazonS3ConfigKey as Key;

use super::ini;
use crate::error::{ObjectsError, ObjectsErrorKind};

/// What an S3 client is built from.
pub(super) struct Settings {
    /// Holds secrets.
    options: Vec<(Key, String)>,
    endpoint: Option<String>,
    profile: Profile,
}

/// A profile of `~/.aws/credentials` and `~/.aws/config`.
struct Profile {
    name: String,
    /// Holds secrets.
    values: HashMap<String, String>,
}

impl Settings {
    pub(super) fn load(variables: HashMap<String, String>) -> Result<Self, ObjectsError> {
        let variables: HashMap<String, String> =
            variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let profile = Profile::load(&variables)?;
        let mut options: HashMap<Key, String> = HashMap::new();
        for (name, value) in &variables {
            // The region is decided below, since one of its variables goes before the other.
            match name.to_ascii_lowercase().parse() {
                Ok(
                    Key::Region
                    | Key::DefaultRegion
                    | Key::Endpoint
                    | Key::S3Endpoint
                    | Key::Bucket,
                )
                | Err(_) => {}
                Ok(key) if name.starts_with("AWS_") => {
                    options.insert(key, value.clone());
                }
                Ok(_) => {}
            }
        }
        add_credentials(&mut options, &profile)?;
        let first = |names: &[&str]| names.iter().find_map(|name| variables.get(*name)).cloned();
        let region = first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
        if let Some(region) = region.or_else(|| profile.values.get("region").cloned()) {
            options.insert(Key::Region, region);
        }
        let mut endpoint = None;
        if !is_true(variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")) {
            endpoint = first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"])
                .or_else(|| profile.values.get("endpoint_url").cloned());
        }
        if let Some(url) = &endpoint {
            check_endpoint(url)?;
            options.insert(Key::Endpoint, url.clone());
        }
        Ok(Self { options: options.into_iter().collect(), endpoint, profile })
    }

    /// Keys and values for the client's builder. They hold secrets.
    pub(super) fn options(&self) -> &[(Key, String)] {
        &self.options
    }

    /// The address of the store, if it is not AWS's own.
    pub(super) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whether credentials have to come from the machine: its container, instance or web identity.
    pub(super) fn must_look_for_credentials(&self) -> bool {
        self.get(Key::AccessKeyId).is_none() && !is_true(self.get(Key::SkipSignature))
    }

    /// The error for a machine that has none.
    pub(super) fn no_credentials(&self, bucket: &str, error: &object_store::Error) -> ObjectsError {
        let mut message = format!("connect to `s3://{bucket}`: no AWS credentials were found");
        if self.get(Key::WebIdentityTokenFile).is_some() {
            message = format!("{message} ({})", super::error::reason(error));
        }
        let name = &self.profile.name;
        let indirect =
            ["sso_session", "sso_start_url", "credential_process", "role_arn", "login_session"];
        let hint = match indirect.iter().find(|key| self.profile.values.contains_key(**key)) {
            Some(key) => format!(
                "profile `{name}` gets them by `{key}`, which is not read here; run \
                 eval \"$(aws configure export-credentials --profile {name} --format env)\" first"
            ),
            None => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN for \
                     temporary ones), or AWS_PROFILE to a profile of ~/.aws/credentials"
                .to_owned(),
        };
        ObjectsError::new(ObjectsErrorKind::Denied, message).with_hint(hint)
    }

    fn get(&self, wanted: Key) -> Option<&String> {
        self.options.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Takes the profile's keys unless the variables say where credentials come from.
fn add_credentials(
    options: &mut HashMap<Key, String>,
    profile: &Profile,
) -> Result<(), ObjectsError> {
    match (options.contains_key(&Key::AccessKeyId), options.contains_key(&Key::SecretAccessKey)) {
        (true, true) => return Ok(()),
        (true, false) => return Err(half_set("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
        (false, true) => return Err(half_set("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")),
        (false, false) => {}
    }
    // A token belongs to the keys that it came with.
    options.remove(&Key::Token);
    if options.contains_key(&Key::WebIdentityTokenFile) && options.contains_key(&Key::RoleArn) {
        return Ok(());
    }
    let value = |name: &str| profile.values.get(name).filter(|value| !value.is_empty()).cloned();
    if let (Some(id), Some(secret)) = (value("aws_access_key_id"), value("aws_secret_access_key")) {
        options.insert(Key::AccessKeyId, id);
        options.insert(Key::SecretAccessKey, secret);
        if let Some(token) = value("aws_session_token") {
            options.insert(Key::Token, token);
        }
    }
    Ok(())
}

fn half_set(set: &str, missing: &str) -> ObjectsError {
    let message = format!("read the AWS credentials: `{set}` is set, but `{missing}` is not");
    ObjectsError::invalid(message)
}

fn check_endpoint(url: &str) -> Result<(), ObjectsError> {
    let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match parsed {
        // The URL itself is not shown: it may hold a password.
        Some(parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            let message = "read the S3 endpoint: it holds a user name or a password";
            Err(ObjectsError::invalid(message)
                .with_hint("give credentials as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"))
        }
        Some(_) => Ok(()),
        None => Err(ObjectsError::invalid(format!(
            "read the S3 endpoint `{url}`: not an http:// or https:// URL"
        ))
        .with_hint("set AWS_ENDPOINT_URL_S3 to a URL such as http://127.0.0.1:9000")),
    }
}

fn is_true(value: Option<&String>) -> bool {
    value.is_some_and(|value| {
        matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on")
    })
}

impl Profile {
    fn load(variables: &HashMap<String, String>) -> Result<Self, ObjectsError> {
        let chosen = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].iter().find_map(|v| variables.get(*v));
        let name = chosen.map_or("default", String::as_str);
        let file = |variable: &str, name: &str| {
            let at_home = || Some(Path::new(variables.get("HOME")?).join(".aws").join(name));
            variables.get(variable).map(PathBuf::from).or_else(at_home)
        };
        let credentials = sections(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"))?;
        let config = sections(file("AWS_CONFIG_FILE", "config"))?;
        let in_config = config.get(&format!("profile {name}")).or_else(|| config.get(name));
        let found: Vec<_> = in_config.into_iter().chain(credentials.get(name)).collect();
        if found.is_empty() && chosen.is_some() {
            let known = config
                .keys()
                .map(|k| k.trim_start_matches("profile "))
                .chain(credentials.keys().map(String::as_str));
            return Err(unknown_profile(name, known));
        }
        // What the credentials file says goes before what the config file says.
        let values = found.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(Self { name: name.to_owned(), values })
    }
}

fn unknown_profile<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> ObjectsError {
    let error = ObjectsError::invalid(format!(
        "read AWS profile `{name}`: it is neither in ~/.aws/credentials nor in ~/.aws/config"
    ));
    match nearest_names(name, known, 1).first() {
        Some(nearest) => error.with_hint(format!("the nearest name there is `{nearest}`")),
        None => error.with_hint("set AWS_PROFILE to a profile that is there, or unset it"),
    }
}

/// A file that is not there has no sections.
fn sections(
    path: Option<PathBuf>,
) -> Result<HashMap<String, HashMap<String, String>>, ObjectsError> {
    let Some(path) = path else { return Ok(HashMap::new()) };
    match fs::read_to_string(&path) {
        Ok(text) => Ok(ini::parse(&text)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(HashMap::new())
        }
        Err(error) => Err(ObjectsError::io("read the AWS settings", &path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<Settings, ObjectsError> {
        Settings::load(variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect())
    }

    fn home(credentials: &str, config: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        fs::write(home.path().join(".aws/config"), config).unwrap();
        home
    }

    #[test]
    fn variables_go_before_files() {
        let home = home(
            "[default]\naws_access_key_id=FILE\naws_secret_access_key=s1\naws_session_token=t\n",
            "[default]\nregion=eu-west-1\nendpoint_url=http://config:1\n",
        );
        let home = home.path().to_str().unwrap();
        let from_file = load(&[("HOME", home), ("AWS_SESSION_TOKEN", "stray")]).unwrap();
        assert_eq!(from_file.get(Key::AccessKeyId).unwrap(), "FILE");
        assert_eq!(from_file.get(Key::Token).unwrap(), "t");
        assert_eq!(from_file.get(Key::Region).unwrap(), "eu-west-1");
        assert_eq!(from_file.endpoint(), Some("http://config:1"));
        let from_env = load(&[
            ("HOME", home),
            ("AWS_ACCESS_KEY_ID", "ENV"),
            ("AWS_SECRET_ACCESS_KEY", "s2"),
            ("AWS_DEFAULT_REGION", "us-west-2"),
            ("AWS_REGION", "us-east-2"),
            ("AWS_ENDPOINT_URL", "http://all:1"),
            ("AWS_ENDPOINT_URL_S3", "http://s3:1"),
        ])
        .unwrap();
        assert_eq!(from_env.get(Key::AccessKeyId).unwrap(), "ENV");
        assert_eq!(from_env.get(Key::Token), None);
        assert_eq!(from_env.get(Key::Region).unwrap(), "us-east-2");
        assert_eq!(from_env.endpoint(), Some("http://s3:1"));
        assert!(!from_env.must_look_for_credentials());
    }

    #[test]
    fn a_profile_is_chosen_by_name() {
        let home = home(
            "[dev]\naws_access_key_id=DEV\naws_secret_access_key=s\n",
            "[profile dev]\nregion=eu-central-1\n[profile login]\nsso_session=x\n",
        );
        let home = home.path().to_str().unwrap();
        let dev = load(&[("HOME", home), ("AWS_PROFILE", "dev")]).unwrap();
        assert_eq!(dev.get(Key::AccessKeyId).unwrap(), "DEV");
        assert_eq!(dev.get(Key::Region).unwrap(), "eu-central-1");
        let error = load(&[("HOME", home), ("AWS_PROFILE", "devv")]).unwrap_err();
        assert_eq!(error.hint(), Some("the nearest name there is `dev`"));
        let login = load(&[("HOME", home), ("AWS_PROFILE", "login")]).unwrap();
        assert!(login.must_look_for_credentials());
        let error = login.no_credentials(
            "b",
            &object_store::Error::NotImplemented {
                operation: String::new(),
                implementer: String::new(),
            },
        );
        assert!(error.hint().unwrap().contains("export-credentials --profile login"));
    }

    #[test]
    fn half_a_pair_and_wrong_endpoints_are_usage_errors() {
        assert!(load(&[("AWS_ACCESS_KEY_ID", "x")]).is_err());
        assert!(load(&[("AWS_SECRET_ACCESS_KEY", "x")]).is_err());
        assert!(load(&[("AWS_ENDPOINT_URL", "localhost:9000")]).is_err());
        let error = load(&[("AWS_ENDPOINT_URL", "http://me:hunter2@host/")]).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
        assert_eq!(load(&[("AWS_ENDPOINT_URL", "")]).unwrap().endpoint(), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let settings = load(&[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hunter2")]);
        assert!(!format!("{:?}", settings.unwrap()).contains("hunter2"));
    }
}

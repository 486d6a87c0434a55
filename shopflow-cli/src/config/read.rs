//! Reading single settings.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use super::problems::Problems;

/// A secret and the file it came from, if it did.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) value: SecretString,
    pub(crate) file: Option<PathBuf>,
}

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        self.value.expose_secret()
    }
}

/// An empty variable is as good as none.
pub(super) fn given(value: Option<&String>) -> Option<&str> {
    value
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
}

/// Whether one of these variables has a value.
pub(super) fn any_given(values: [&Option<String>; 2]) -> bool {
    values.iter().any(|value| given(value.as_ref()).is_some())
}

fn flag(name: &str) -> String {
    format!("--{}", name.to_lowercase().replace('_', "-"))
}

/// A setting that has to be there.
pub(crate) fn required(
    problems: &mut Problems,
    name: &'static str,
    value: Option<&String>,
) -> Option<String> {
    let found = given(value).map(str::to_owned);
    if found.is_none() {
        problems.add(name, format!("is required (or {})", flag(name)));
    }
    found
}

/// A setting that need not be there, in its own type.
pub(crate) fn or_default<T>(
    problems: &mut Problems,
    name: &'static str,
    value: Option<&String>,
    default: T,
    wanted: &str,
) -> T
where
    T: FromStr,
{
    match given(value).map(str::parse) {
        None => default,
        Some(Ok(value)) => value,
        Some(Err(_)) => {
            problems.add(name, format!("must be {wanted}"));
            default
        }
    }
}

/// How a secret is read: whether it has to be there.
pub(crate) type ReadSecret =
    fn(&mut Problems, &'static str, Option<&String>, Option<&String>) -> Option<Secret>;

/// A secret, from its variable or its file; `None` without a problem when there is neither.
pub(crate) fn secret(
    problems: &mut Problems,
    name: &'static str,
    value: Option<&String>,
    file: Option<&String>,
) -> Option<Secret> {
    match (given(value), given(file)) {
        (None, None) => None,
        (Some(value), None) => Some(Secret {
            value: value.into(),
            file: None,
        }),
        (Some(_), Some(_)) => {
            problems.add(name, format!("is given twice, here and by {name}_FILE"));
            None
        }
        (None, Some(file)) => match read_secret(file) {
            Ok(value) => Some(Secret {
                value,
                file: Some(file.into()),
            }),
            Err(problem) => {
                problems.add(name, format!("{name}_FILE {problem}"));
                None
            }
        },
    }
}

/// A secret that has to be there.
pub(crate) fn required_secret(
    problems: &mut Problems,
    name: &'static str,
    value: Option<&String>,
    file: Option<&String>,
) -> Option<Secret> {
    let missing = given(value).is_none() && given(file).is_none();
    if missing {
        problems.add(
            name,
            format!("is required (or {name}_FILE, or {})", flag(name)),
        );
    }
    secret(problems, name, value, file)
}

/// What a secret file holds, without the line break that editors put at its end.
pub(crate) fn read_secret(file: &str) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{file} cannot be read: {e}"))?;
    match text.trim() {
        "" => Err(format!("{file} is empty")),
        secret => Ok(secret.into()),
    }
}

/// A problem in place of a value that some library refuses.
pub(crate) fn check<T, E: Display>(
    problems: &mut Problems,
    name: &'static str,
    value: Option<T>,
    check: impl FnOnce(&T) -> Result<(), E>,
) -> Option<T> {
    let value = value?;
    match check(&value) {
        Ok(()) => Some(value),
        Err(error) => {
            problems.add(name, error);
            None
        }
    }
}

/// A password that an operator sets: a variable, and the variable that names a file with it. It has no
/// flag: arguments are seen by everybody on the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PasswordSource {
    pub(crate) name: &'static str,
    file: &'static str,
}

/// Of an admin who is made.
pub(crate) const ADMIN_PASSWORD: PasswordSource = PasswordSource {
    name: "SHOPFLOW_ADMIN_PASSWORD",
    file: "SHOPFLOW_ADMIN_PASSWORD_FILE",
};

/// Of a user who has lost theirs.
pub(crate) const NEW_PASSWORD: PasswordSource = PasswordSource {
    name: "SHOPFLOW_NEW_PASSWORD",
    file: "SHOPFLOW_NEW_PASSWORD_FILE",
};

impl PasswordSource {
    /// The password, if there is one.
    #[expect(
        clippy::disallowed_methods,
        reason = "config is where the environment is read"
    )]
    pub(crate) fn read(self, problems: &mut Problems) -> Option<Secret> {
        let value = std::env::var(self.name).ok();
        let file = std::env::var(self.file).ok();
        secret(problems, self.name, value.as_ref(), file.as_ref())
    }
}

/// The name of who is at the terminal, as far as the system knows; empty where it does not.
#[expect(
    clippy::disallowed_methods,
    reason = "config is where the environment is read"
)]
pub(crate) fn user_name() -> String {
    std::env::var("USER").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Option<String> {
        Some(value.to_owned())
    }

    #[test]
    fn every_problem_is_a_line_that_names_its_variable() {
        let mut problems = Problems::default();
        required(&mut problems, "AWS_SES_REGION", None);
        required(&mut problems, "AWS_SES_REGION", text(" ").as_ref());
        or_default(&mut problems, "PORT", text("x").as_ref(), 1_u16, "a port");
        required_secret(&mut problems, "JWT_SECRET", None, None);
        secret(
            &mut problems,
            "JWT_SECRET",
            text("a").as_ref(),
            text("b").as_ref(),
        );
        let lines = problems.to_string();
        assert_eq!(
            lines.lines().collect::<Vec<_>>(),
            [
                "error: AWS_SES_REGION: is required (or --aws-ses-region)",
                "error: AWS_SES_REGION: is required (or --aws-ses-region)",
                "error: PORT: must be a port",
                "error: JWT_SECRET: is required (or JWT_SECRET_FILE, or --jwt-secret)",
                "error: JWT_SECRET: is given twice, here and by JWT_SECRET_FILE",
            ]
        );
    }

    #[test]
    fn a_secret_file_loses_its_line_break_and_must_not_be_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let path = file.to_str().unwrap();
        std::fs::write(&file, "s3cret\n").unwrap();
        assert_eq!(read_secret(path).unwrap().expose_secret(), "s3cret");
        std::fs::write(&file, "\n").unwrap();
        assert!(read_secret(path).unwrap_err().contains("is empty"));
        assert!(
            read_secret("/nowhere/secret")
                .unwrap_err()
                .contains("/nowhere/secret cannot be read")
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = secret(&mut Problems::default(), "X", text("s3cret").as_ref(), None);
        assert!(!format!("{secret:?}").contains("s3cret"));
    }
}

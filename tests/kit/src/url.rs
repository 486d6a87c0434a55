//! Just enough of URLs to point one at another host or database.

use anyhow::{Context, Result};

/// The parts of `scheme://user:password@host:port/path?query`.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    pub(crate) user_info: Option<String>,
    /// `host:port`, the port filled in where the scheme has a usual one.
    pub(crate) host_port: String,
    /// With the slash in front, without the query.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").context("a URL without ://")?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, host) = match authority.rsplit_once('@') {
            Some((user_info, host)) => (Some(user_info.to_owned()), host),
            None => (None, authority),
        };
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host_port = match (has_port, scheme) {
            (true, _) => host.to_owned(),
            (false, "postgres" | "postgresql") => format!("{host}:5432"),
            (false, "amqp") => format!("{host}:5672"),
            (false, "http") => format!("{host}:80"),
            (false, "redis") => format!("{host}:6379"),
            (false, _) => anyhow::bail!("a {scheme} URL without a port"),
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            user_info,
            host_port,
            path: path.to_owned(),
            query,
        })
    }

    /// User and password, with percent-encoding undone.
    pub(crate) fn credentials(&self) -> Option<(String, String)> {
        let (user, password) = self.user_info.as_deref()?.split_once(':')?;
        Some((decode(user), decode(password)))
    }

    /// `scheme://host:port`, without anything secret.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.host_port)
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(user_info) = &self.user_info {
            write!(f, "{user_info}@")?;
        }
        write!(f, "{}{}", self.host_port, self.path)?;
        match &self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

/// Form decoding would also turn a plus into a space, so that one is hidden from it.
fn decode(text: &str) -> String {
    let form = text.replace('+', "%2B");
    form_urlencoded::parse(form.as_bytes())
        .map(|(name, _)| name.into_owned())
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_changes() {
        let mut url = Url::parse("postgres://me:a%40b@db.example/orders?sslmode=disable").unwrap();
        assert_eq!(url.host_port, "db.example:5432");
        assert_eq!(url.credentials(), Some(("me".into(), "a@b".into())));
        url.host_port = "127.0.0.1:1".into();
        assert_eq!(
            url.to_string(),
            "postgres://me:a%40b@127.0.0.1:1/orders?sslmode=disable"
        );
    }
}

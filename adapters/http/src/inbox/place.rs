//! The paths of the inbox.

use crate::route::Route;

/// A path of the inbox, whatever the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The list, for people.
    List,
    /// The list, for programs.
    Messages,
    /// One message, for people.
    Message(i64),
    /// The HTML of a mail.
    Html(i64),
    /// A mail as it goes over the wire, to be read.
    Raw(i64),
    /// A mail as it goes over the wire, to be kept.
    Mail(i64),
    /// The dead letters, for people.
    DeadLetters,
    /// The dead letters, for programs.
    DeadLettersJson,
    /// The attempts to send.
    Attempts,
    /// The figures beside the list.
    Overview,
    /// The faults that are set.
    Faults,
    /// How the pages look.
    Style,
    /// What keeps the pages fresh.
    Script,
}

impl Place {
    /// What stands at a path, if it is one of ours.
    pub(super) fn find(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/inbox")?;
        let segments: Vec<&str> = rest.split('/').skip(1).collect();
        Some(match segments.as_slice() {
            [] if rest.is_empty() => Self::List,
            ["messages"] => Self::Messages,
            ["dead-letters"] => Self::DeadLetters,
            ["dead-letters.json"] => Self::DeadLettersJson,
            ["attempts"] => Self::Attempts,
            ["overview"] => Self::Overview,
            ["faults"] => Self::Faults,
            ["style.css"] => Self::Style,
            ["app.js"] => Self::Script,
            [id] => Self::Message(number(id)?),
            [id, "html"] => Self::Html(number(id)?),
            [id, "raw"] => Self::Raw(number(id)?),
            [id, "mail.eml"] => Self::Mail(number(id)?),
            _ => return None,
        })
    }

    /// The path, with what it allows. No page of another site is to read mails or set faults.
    pub(super) fn route(self) -> Route {
        let name = match self {
            Self::List => "/inbox",
            Self::Messages => "/inbox/messages",
            Self::Message(_) => "/inbox/{id}",
            Self::Html(_) => "/inbox/{id}/html",
            Self::Raw(_) => "/inbox/{id}/raw",
            Self::Mail(_) => "/inbox/{id}/mail.eml",
            Self::DeadLetters => "/inbox/dead-letters",
            Self::DeadLettersJson => "/inbox/dead-letters.json",
            Self::Attempts => "/inbox/attempts",
            Self::Overview => "/inbox/overview",
            Self::Faults => "/inbox/faults",
            Self::Style => "/inbox/style.css",
            Self::Script => "/inbox/app.js",
        };
        let methods = match self {
            Self::Faults => "GET, HEAD, POST, DELETE",
            _ => "GET, HEAD",
        };
        Route::internal(name, methods)
    }
}

/// A message's number; `parse` alone would take a sign too.
fn number(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_ours_or_it_is_not() {
        assert_eq!(Place::find("/inbox"), Some(Place::List));
        assert_eq!(Place::find("/inbox/17"), Some(Place::Message(17)));
        assert_eq!(Place::find("/inbox/17/html"), Some(Place::Html(17)));
        assert_eq!(Place::find("/inbox/faults"), Some(Place::Faults));
        for other in [
            "/",
            "/inboxes",
            "/inbox17",
            "/inbox/",
            "/inbox/x",
            "/inbox/-1",
            "/inbox/+1",
            "/inbox/1.5",
            "/inbox/99999999999999999999",
            "/inbox/17/",
            "/inbox/17/other",
            "/inbox/17/html/x",
        ] {
            assert_eq!(Place::find(other), None, "{other}");
        }
    }

    #[test]
    fn a_route_names_no_number() {
        assert_eq!(Place::Message(17).route().name, "/inbox/{id}");
        assert_eq!(Place::Mail(17).route().name, "/inbox/{id}/mail.eml");
    }
}

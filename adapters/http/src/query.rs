//! Reading query parameters; each fault names its parameter.

use core_kernel::{Faults, PageRequest, UserScope, Violation};
use form_urlencoded::parse;

/// The parameters of a request, decoded. Unknown ones are ignored; of a repeated one the first
/// counts.
pub(crate) struct Query(Vec<(String, String)>);

/// Which part of a list is asked for.
pub(crate) enum Part {
    /// A page; the list is counted.
    Page(PageRequest),
    /// What comes after a place; nothing is counted.
    After { cursor: String, limit: u32 },
}

/// The scope in a cursor's description of its list.
pub(crate) fn scope_word(scope: UserScope) -> String {
    match scope {
        UserScope::One(user) => user.to_string(),
        UserScope::All => "all".to_owned(),
    }
}

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(parse(query.as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What `read` makes of a parameter that may be absent; its fault is added to `faults`.
    pub(crate) fn optional<T>(
        &self,
        faults: &mut Faults,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        match read(self.get(name)?) {
            Ok(value) => Some(value),
            Err(violation) => {
                faults.add_parameter(name, violation);
                None
            }
        }
    }

    /// `page` and `limit` (PRD §4.2).
    pub(crate) fn page(&self, faults: &mut Faults) -> PageRequest {
        let max = PageRequest::MAX_LIMIT;
        let page = self.optional(faults, "page", |text| within(text, 1, u32::MAX));
        let limit = self.optional(faults, "limit", |text| within(text, 1, max));
        PageRequest {
            page: page.unwrap_or(1),
            limit: limit.unwrap_or(PageRequest::DEFAULT_LIMIT),
        }
    }

    /// `page` and `limit`, or `cursor` and `limit`: a cursor is a place of its own.
    pub(crate) fn part(&self, faults: &mut Faults) -> Part {
        let page = self.page(faults);
        match self.get("cursor") {
            None => Part::Page(page),
            Some(cursor) => {
                if self.get("page").is_some() {
                    let message = "cannot be given together with page";
                    faults.add_parameter("cursor", Violation::new("exclusive", message));
                }
                Part::After {
                    cursor: cursor.to_owned(),
                    limit: page.limit,
                }
            }
        }
    }

    /// `user_id`: a user, or `all`.
    pub(crate) fn user_scope(&self, faults: &mut Faults) -> Option<UserScope> {
        self.optional(faults, "user_id", |text| match text {
            "all" => Ok(UserScope::All),
            id => id
                .parse()
                .map(UserScope::One)
                .map_err(|_| Violation::new("format", "must be a UUID or all")),
        })
    }
}

/// A number between these, both included.
pub(crate) fn within(text: &str, min: u32, max: u32) -> Result<u32, Violation> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(number) if digits && number < min => {
            Err(Violation::new("min", format!("must be at least {min}")))
        }
        Ok(number) if digits && number <= max => Ok(number),
        _ if digits => Err(Violation::new("max", format!("must be at most {max}"))),
        _ => Err(Violation::new("type", "must be an integer")),
    }
}

/// The fault of a word that is none of those allowed.
pub(crate) fn one_of(words: &[&str]) -> Violation {
    Violation::new("one_of", format!("must be one of {}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_defaults_and_bounds() {
        let page = |query: &str| {
            let mut faults = Faults::new();
            let page = Query::parse(query).page(&mut faults);
            (page.page, page.limit, faults.as_slice().len())
        };
        assert_eq!(page(""), (1, 20, 0));
        assert_eq!(page("page=3&limit=100"), (3, 100, 0));
        for bad in [
            "page=0",
            "limit=0",
            "limit=101",
            "page=-1",
            "page=x",
            "page=",
            "page=1.0",
            "page=%2B1",
            "page=99999999999",
        ] {
            assert_eq!(page(bad).2, 1, "{bad}");
        }
        assert_eq!(page("page=0&limit=0").2, 2);
    }

    #[test]
    fn a_cursor_goes_with_a_limit_and_not_with_a_page() {
        let part = |query: &str| {
            let mut faults = Faults::new();
            let part = Query::parse(query).part(&mut faults);
            (part, faults.as_slice().len())
        };
        assert!(matches!(part("limit=7").0, Part::Page(page) if page.limit == 7));
        let (after, faults) = part("cursor=x&limit=7");
        assert!(matches!(after, Part::After { cursor, limit: 7 } if cursor == "x"));
        assert_eq!(faults, 0);
        assert_eq!(part("cursor=x&page=1").1, 1);
    }
}

//! The paths of a service.

use http::Method;

/// A path that a service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path with its ids replaced by their names, `/orders/{id}`, for metrics and logs.
    pub name: &'static str,
    /// The methods that it has, as `Allow` lists them. One with GET has HEAD.
    pub methods: &'static str,
    /// Whether pages of other origins may be allowed to call it.
    pub cross_origin: bool,
}

impl Route {
    /// A path for everybody.
    #[must_use]
    pub const fn public(name: &'static str, methods: &'static str) -> Self {
        Self {
            name,
            methods,
            cross_origin: true,
        }
    }

    /// A path that is none of other origins' business, whatever is configured.
    #[must_use]
    pub const fn internal(name: &'static str, methods: &'static str) -> Self {
        Self {
            name,
            methods,
            cross_origin: false,
        }
    }

    /// What stands at a path, of these.
    pub(crate) fn find(routes: &[Self], path: &str) -> Option<Self> {
        // Most paths that are asked for have no id in them: they need not be taken apart.
        let same = routes.iter().find(|route| route.name == path);
        let found = same.or_else(|| routes.iter().find(|route| route.is_at(path)));
        found.copied()
    }

    /// Whether it has this method.
    pub(crate) fn has(&self, method: &Method) -> bool {
        self.methods
            .split(", ")
            .any(|known| known == method.as_str())
    }

    /// Whether a path is this one; a name in braces stands for any one segment.
    fn is_at(&self, path: &str) -> bool {
        let (names, segments) = (self.name.split('/'), path.split('/'));
        names.clone().count() == segments.clone().count()
            && names
                .zip(segments)
                .all(|(name, segment)| name.starts_with('{') || name == segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_braces_stands_for_one_segment() {
        let routes = [
            Route::public("/orders", "GET"),
            Route::public("/orders/{id}", "GET"),
            Route::public("/orders/{id}/history", "GET"),
        ];
        for (path, name) in [
            ("/orders", Some("/orders")),
            ("/orders/7", Some("/orders/{id}")),
            ("/orders/", Some("/orders/{id}")),
            ("/orders/7/history", Some("/orders/{id}/history")),
            ("/orders/7/", None),
            ("/orders/7/other", None),
            ("orders", None),
            ("/", None),
        ] {
            let found = Route::find(&routes, path).map(|route| route.name);
            assert_eq!(found, name, "{path}");
        }
    }
}

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

    /// Whether it has this method.
    pub(crate) fn has(&self, method: &Method) -> bool {
        self.methods
            .split(", ")
            .any(|known| known == method.as_str())
    }
}

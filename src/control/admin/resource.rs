//! What the admin API has, by path, and what can be done with each.

use hyper::Method;
use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// Whether the program lives.
    Live,
    /// Whether clients should be sent to it.
    Ready,
    /// What was counted.
    Metrics,
    /// The document that describes all this.
    OpenApi,
    Version,
    Overview,
    Listeners,
    Routes,
    Pools,
    Pool(String),
    Backends,
    /// Its pool and its address.
    Backend(String, String),
    Config,
    Overrides,
    Reload,
    Plan,
    /// What came of the last change that was to be confirmed.
    Confirmation,
}

impl Resource {
    /// What this path names, if anything.
    pub(super) fn at(path: &str) -> Option<Self> {
        match path {
            "/livez" => return Some(Self::Live),
            "/readyz" => return Some(Self::Ready),
            "/metrics" => return Some(Self::Metrics),
            _ => {}
        }
        let segments: Vec<_> = path.strip_prefix("/api/v1/")?.split('/').collect();
        Some(match segments[..] {
            ["openapi.json"] => Self::OpenApi,
            ["version"] => Self::Version,
            ["overview"] => Self::Overview,
            ["listeners"] => Self::Listeners,
            ["routes"] => Self::Routes,
            ["pools"] => Self::Pools,
            ["pools", pool] => Self::Pool(decode(pool)?),
            ["pools", pool, "backends", backend] => Self::Backend(decode(pool)?, decode(backend)?),
            ["backends"] => Self::Backends,
            ["config"] => Self::Config,
            ["overrides"] => Self::Overrides,
            ["reload"] => Self::Reload,
            ["plan"] => Self::Plan,
            ["confirmation"] => Self::Confirmation,
            _ => return None,
        })
    }

    /// What can be done with it.
    pub(super) fn methods(&self) -> &'static [Method] {
        match self {
            Self::Backend(..) => &[Method::GET, Method::HEAD, Method::PATCH],
            Self::Config => &[Method::GET, Method::HEAD, Method::POST],
            Self::Reload | Self::Plan => &[Method::POST],
            _ => &[Method::GET, Method::HEAD],
        }
    }

    /// Whether whoever comes may know it: it is for those who look whether the program is well.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Live | Self::Ready)
    }

    /// Whether it is told as JSON.
    pub(super) fn is_json(&self) -> bool {
        *self != Self::Metrics
    }

    /// The names of the parameters that its query may have.
    pub(super) fn parameters(&self, method: &Method) -> &'static [&'static str] {
        match self {
            Self::Config | Self::Reload if *method == Method::POST => &["dry_run", "confirm"],
            _ => &[],
        }
    }
}

fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_named_by_its_percent_encoded_address() {
        let backend = |address: &str| Some(Resource::Backend("a pool".into(), address.into()));
        for (path, address) in [
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("https%3A%2F%2Fapp%3A443", "https://app:443"),
            ("unix:%2Frun%2Fapp", "unix:/run/app"),
        ] {
            assert_eq!(Resource::at(&format!("/api/v1/pools/a%20pool/backends/{path}")), backend(address));
        }
    }

    #[test]
    fn other_paths_name_nothing() {
        for path in ["/", "/api", "/api/v1/", "/api/v1/pools/", "/api/v1/overview/", "/api/v1/pools/%FF", "*"]
        {
            assert_eq!(Resource::at(path), None, "{path}");
        }
    }
}

//! What can be wrong with a route.

use crate::config::name::NameFault;
use crate::config::said::{Said, Scope, say};

/// What can be wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum RouteFault {
    /// There are several pools and no routes.
    NoRoutes,
    /// Nothing is done with its requests.
    NoAction,
    /// Two things are done with its requests.
    TwoActions(&'static str),
    /// No pool gets anything.
    NoWeight,
    /// A host is none.
    Host,
    /// A host is no address, and no name either.
    Name(NameFault),
    /// A host that is to be a name and all that is below it.
    Dot { name: String },
    /// A host is an IPv6 address without its brackets.
    Bare,
    /// A host that may have a port is none.
    HostAndPort,
    /// A host that is to be any.
    AnyHost,
    /// A path is none.
    Path(&'static str),
    /// A regular expression is none.
    Regex(String),
    /// A method that is to be any.
    AnyMethod,
    /// A method is none.
    Method { fix: Option<String> },
    /// A name of a header line is none.
    HeaderName,
    /// A header line that says something else than a request's id.
    NoId,
    /// A value of a header line is none.
    HeaderValue,
    /// A header line that says how a message is sent.
    Framing,
    /// The header line that every answer has.
    Date,
    /// The header line that says for which host a request is.
    HostLine,
    /// A name in braces that stands for nothing.
    Placeholder { name: String, known: Vec<String> },
    /// A word of another balancer, which stands for nothing here.
    Elsewhere { word: String, of: &'static str, mend: Mend },
    /// A new path or a URL that is none.
    Target(&'static str),
    /// A status that is none of those that fit.
    Status(&'static str),
    /// A status with a blank in it.
    Blank,
    /// A body for a status that has none.
    NoBody,
    /// A page that is nowhere.
    NoPage,
    /// Statuses of two pages overlap.
    Overlap(String),
    /// The name of a pool cannot be the value of a cookie.
    NoCookieValue,
    /// One cookie is to keep a client at a pool and at a backend.
    OneCookie,
    /// There is no second attempt.
    OneAttempt,
    /// Copies go where the requests go.
    OwnMirror,
}

/// What to write in place of a word of another balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Mend {
    /// This redirect or rewrite; what our words for it are depends on the path of the route if there is none.
    Template(Option<String>),
    /// A line of a request, which need not be set.
    Line(&'static str),
    /// Text.
    Text,
}

impl Mend {
    fn said(&self) -> String {
        match self {
            Self::Template(Some(ours)) => format!("write {ours}"),
            Self::Template(None) => {
                "write {host}, {path}, {query} or a name that the route's path has in braces".to_owned()
            }
            Self::Line(has) => format!("remove it: {has}; other values are fixed text"),
            Self::Text => "write fixed text: nothing of a request comes in here".to_owned(),
        }
    }
}

impl RouteFault {
    /// A text is no status or range of statuses of those that fit.
    pub(in crate::config) fn of_status(text: &str, which: &'static str) -> Self {
        if text.contains(char::is_whitespace) { Self::Blank } else { Self::Status(which) }
    }

    pub(in crate::config) fn scope(&self) -> Scope<'_> {
        match self {
            Self::NoRoutes => Scope::All(&["routes.*"]),
            Self::NoAction => Scope::Within(&["pool", "pools.*", "redirect", "answer"]),
            Self::NoWeight => Scope::Entry(&["pools.*"]),
            Self::NoPage => Scope::Within(&["file", "body"]),
            Self::Placeholder { .. } => Scope::Beside(&["path", "paths.*"]),
            _ => Scope::Own,
        }
    }

    pub(in crate::config) fn said(&self) -> Said {
        match self {
            Self::NoRoutes => say(
                "there are several pools, and no route says which gets what",
                "add [routes.NAME] with pool",
            ),
            Self::NoAction => say("nothing is done with its requests", "add pool, pools, redirect or answer"),
            Self::TwoActions(other) => say(format!("{other} is given as well"), "keep one of them"),
            Self::NoWeight => say("all weights are 0, so no pool gets a request", "give one a weight"),
            Self::Host => not_a_host(),
            Self::Name(fault) => fault.said(not_a_host()),
            Self::Dot { name } => {
                say("begins with a dot", format!("write *.{name}, and {name} beside it in hosts"))
            }
            Self::Bare => say("an IPv6 address without brackets", "write it in them, without a port: [::1]"),
            Self::HostAndPort => say(
                "not a host",
                "write a name or an address, and maybe a port: inner.example, 10.0.0.1:8080 or [::1]:8080",
            ),
            Self::AnyHost => say("not a host", "leave it out for any"),
            Self::Path(why) => say(*why, "write /login, /v1/*, /users/{id}, /files/{rest...} or ~ REGEX"),
            Self::Regex(why) => say(format!("not a regular expression: {why}"), ""),
            Self::AnyMethod => say("not a method", "leave it out for any"),
            Self::Method { fix: Some(fix) } => say("not a method", format!("did you mean {fix}?")),
            Self::Method { fix: None } => say("not a method", "write GET, POST and so on"),
            Self::HeaderName => say("not a name of a header line", "write it without : and spaces"),
            Self::NoId => say("says something else of a request", "name a line of its own: X-Request-ID"),
            Self::HeaderValue => say("not a value of a header line", "remove its control characters"),
            Self::Framing => {
                say("says how a message is sent, which is not for a route to change", "remove it")
            }
            Self::Date => say(
                "comes back, for every answer says when it was made",
                "remove it; another date can be set",
            ),
            Self::HostLine => say(
                "says for which host a request is, which is not for these lines to change",
                "remove it; for another host there is set_host",
            ),
            Self::Placeholder { name, known } => {
                let known: Vec<_> = known.iter().map(|name| format!("{{{name}}}")).collect();
                say(format!("{{{name}}} stands for nothing here"), format!("use {}", known.join(", ")))
            }
            Self::Elsewhere { word, of, mend } => {
                say(format!("{word} is a variable of {of}, and only text here"), mend.said())
            }
            Self::Target(help) => say("nothing that a client could ask for", *help),
            Self::Status(which) => say("not a status for this", format!("use {which}")),
            Self::Blank => say("holds a blank", "remove it; between two is a comma alone"),
            Self::NoBody => say("an answer with this status has no body", "remove body, or change status"),
            Self::NoPage => say("has neither a file nor a body", "add file or body"),
            Self::Overlap(other) => say(format!("{other} is for some of these, too"), "separate them"),
            Self::NoCookieValue => say(
                "cannot be in a cookie, where split_cookie puts it",
                "name the pool with letters, digits, - and _, or remove split_cookie",
            ),
            Self::OneCookie => say(
                "keeps clients at the backends of one of its pools, too, in the place of this",
                "name another cookie here, or in sticky.cookie of the pool",
            ),
            Self::OneAttempt => {
                say("do nothing, for attempts = 1 allows no second one", "remove them, or set attempts = 2")
            }
            Self::OwnMirror => {
                say("its requests go to this pool anyway", "name another pool, or remove mirror")
            }
        }
    }
}

fn not_a_host() -> Said {
    say("not a host", "write a name without a port, for example api.example.com or *.example.com")
}

impl From<NameFault> for RouteFault {
    fn from(fault: NameFault) -> Self {
        Self::Name(fault)
    }
}

//! What can be wrong with a setting, and how it is said: to who wrote flags and to who wrote a file.

mod pool;
mod route;

use std::slice;

use super::access::AccessFault;
use super::backend::BackendFault;
use super::file::Size;
use super::format::Format;
use super::listen::ListenFault;
use super::path::{Path, Span};
use super::said::{By, Said, Scope, say};

pub(super) use pool::PoolFault;
pub(super) use route::{Mend, RouteFault};

/// A table of the settings whose entries others name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Listeners,
    Pools,
}

impl Table {
    /// Its key.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Listeners => "listeners",
            Self::Pools => "pools",
        }
    }

    /// What one of its entries is called.
    fn one(self) -> &'static str {
        match self {
            Self::Listeners => "listener",
            Self::Pools => "pool",
        }
    }
}

/// What is wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The text is not in its format.
    Syntax(String),
    /// The text is not in its format, for a value looks like something else without quotes.
    Unquoted(String),
    /// It is in another format, of which its own knows only this to say.
    Foreign { said: String, own: Format },
    /// Tables and lists in each other without end.
    TooDeep,
    /// Aliases that stand for more than anybody writes.
    TooMany,
    /// More values than this.
    TooManyValues(usize),
    /// A YAML tag.
    Tag,
    /// A second YAML document.
    SecondDocument,
    /// A `${` without its `}`.
    Unclosed,
    /// What stands in `${…}` is no variable.
    Reference(String),
    /// A variable of the environment is not set.
    Unset { name: String, why: String },
    /// What a variable of the environment holds is no text.
    NoText { name: String },
    /// A key that is given twice in one text.
    Duplicate { path: Path, first: Option<Span>, is_table: bool },
    /// A key that another file has, too.
    InTwoFiles { path: Path, other: String },
    /// A key that means nothing.
    UnknownKey { nearest: Option<String>, known: Vec<String> },
    /// Something of another kind.
    Kind { expected: String, found: &'static str },
    /// A value that its type does not take, in that type's words. Behind `; ` is how to mend it.
    Said(String),
    /// How a route stands to others, in words as above. What else is wrong in it was thought of.
    Conflict(String),
    /// A number below what can work.
    TooSmall(u64),
    /// A number above what can work.
    TooLarge(u64),
    /// More connections than there are open files for.
    Files { most: u64, open_files: u64, needed: Option<u64> },
    /// A size below what can work.
    SizeTooSmall(u64),
    /// No bytes, where some say that for any.
    NoBytes,
    /// A size above what can work.
    SizeTooLarge(u64),
    /// A key that does nothing without another.
    Needs(&'static str),
    /// Two keys of which only one counts.
    Both(&'static str),
    /// A table of the settings has nothing of this name.
    Unknown { table: Table, name: String, nearest: Option<String>, known: Vec<String> },
    /// A list that would restrict nothing.
    EmptyList,
    /// A file cannot be read.
    File {
        /// As the system put it.
        reason: String,
        /// What would help.
        help: &'static str,
    },
    /// A listener.
    Listen(ListenFault),
    /// A backend.
    Backend(BackendFault),
    /// A network or a rate.
    Access(AccessFault),
    /// A pool.
    Pool(PoolFault),
    /// A route.
    Route(RouteFault),
}

impl Fault {
    /// What a parser said. They call depth by several names.
    pub(super) fn of_syntax(said: &str) -> Self {
        if said.contains("recurs") { Self::TooDeep } else { Self::Syntax(said.to_owned()) }
    }

    pub(super) fn said(&self, by: By) -> Said {
        match self {
            Self::Kind { expected, found } => say(format!("expected {expected}, found {found}"), ""),
            Self::Said(text) | Self::Conflict(text) => match text.split_once("; ") {
                Some((message, help)) => say(message, help),
                None => say(text, ""),
            },
            Self::UnknownKey { nearest: Some(nearest), .. } => {
                say("unknown key", format!("did you mean {nearest}?"))
            }
            Self::UnknownKey { nearest: None, known } => {
                say("unknown key", format!("known here: {}", known.join(", ")))
            }
            // What its least is knows only who knows what it is for.
            Self::TooSmall(0) => say("too small", "write a whole number that is not negative"),
            Self::TooSmall(least) => say("too small", format!("use at least {least}")),
            Self::TooLarge(most) => say("too large", format!("use at most {most}")),
            Self::Files { most, open_files, needed } => say(
                format!("too large: each takes two open files, of which the limit is {open_files}"),
                match needed {
                    Some(needed) => {
                        format!("use at most {most}, or raise the limit with `ulimit -n {needed}`")
                    }
                    None => format!("use at most {most}"),
                },
            ),
            Self::NoBytes => say("too small: all that has a body would be refused", "leave it out for any"),
            Self::SizeTooSmall(least) => say("too small", format!("use at least {}", Size(*least))),
            Self::SizeTooLarge(most) => say("too large", format!("use at most {}", Size(*most))),
            Self::Needs(other) => say(format!("does nothing without {other}"), format!("add {other}")),
            Self::Both(other) => say(format!("{other} is given as well"), "remove one of them"),
            Self::Unknown { table, name, nearest, known } => {
                let (one, all) = (table.one(), table.key());
                let help = match nearest {
                    Some(nearest) => format!("did you mean \"{nearest}\"?"),
                    None => format!("add [{all}.{name}], or name one of {}", known.join(", ")),
                };
                say(format!("no {one} has this name"), help)
            }
            Self::EmptyList => {
                say("an empty list, which would let everybody in", "leave the key out for any")
            }
            Self::File { reason, help } => say(format!("cannot be read: {reason}"), *help),
            Self::Listen(fault) => fault.said(by),
            Self::Backend(fault) => fault.said(by),
            Self::Access(fault) => fault.said(by),
            Self::Pool(fault) => fault.said(by),
            Self::Route(fault) => fault.said(),
            _ => self.said_of_text(),
        }
    }

    /// Whether another value in the same place would mend it, whatever the place.
    pub(super) fn is_of_value(&self) -> bool {
        let is_number = matches!(
            self,
            Self::TooSmall(_) | Self::TooLarge(_) | Self::SizeTooSmall(_) | Self::SizeTooLarge(_)
        );
        let is_subject = matches!(self, Self::Listen(_) | Self::Backend(_) | Self::Access(_));
        is_number || is_subject || matches!(self, Self::Kind { .. } | Self::File { .. })
    }

    /// Whether another time the same may do: who resolves names may not be there yet.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Backend(BackendFault::Unresolved { .. }))
    }

    /// Whether its words have parts of the value in them.
    pub(super) fn quotes(&self) -> bool {
        match self {
            Self::Said(_) | Self::Unknown { .. } => true,
            Self::Listen(fault) => matches!(fault, ListenFault::Bare { .. }),
            Self::Backend(BackendFault::Path { .. } | BackendFault::Socket { .. }) => true,
            Self::Backend(fault) => matches!(fault, BackendFault::NoPort { .. } | BackendFault::Bare { .. }),
            Self::Access(fault) => matches!(fault, AccessFault::HostBits { .. } | AccessFault::RateUnit(_)),
            Self::Pool(fault) => matches!(fault, PoolFault::HealthPath { .. } | PoolFault::LogByWord(_)),
            Self::Route(RouteFault::Regex(_) | RouteFault::Dot { .. }) => true,
            Self::Route(fault) => matches!(fault, RouteFault::Placeholder { .. }),
            _ => false,
        }
    }

    /// What is said when there are no settings yet, only text.
    fn said_of_text(&self) -> Said {
        match self {
            Self::TooDeep => say("too deep: no setting needs so many tables in each other", ""),
            Self::TooMany => say("aliases stand for more settings than anybody writes", "write them out"),
            Self::TooManyValues(most) => say(
                format!("too many values: no settings need more than {most}"),
                "write one *.example.com or /api/* for many hosts or paths, and name backends in a file that a pool discovers",
            ),
            // How to mend it depends on where it comes from.
            Self::Foreign { said, .. } => say(said, ""),
            Self::Tag => say("has a tag, which no setting needs", "remove it"),
            Self::SecondDocument => say("a second document", "keep one, or use a file for each"),
            Self::Unclosed => say("`${` without its `}`", "write ${NAME}, or $${ for ${ itself"),
            Self::Reference(text) => {
                let help = "write ${NAME}, ${NAME:-default} or ${NAME:?message}, or $${ for ${ itself";
                say(format!("`${{{text}}}` is no variable"), help)
            }
            Self::Unset { name, why } if why.is_empty() => {
                let help = format!("set it, or write ${{{name}:-default}}");
                say(format!("the environment has no {name}"), help)
            }
            Self::Unset { name, why } => {
                say(format!("the environment has no {name}: {why}"), format!("set {name}"))
            }
            Self::NoText { name } => {
                say(format!("the environment's {name} is not UTF-8"), format!("set {name} to text in UTF-8"))
            }
            Self::Duplicate { path, is_table, .. } => {
                let help = match (is_table, path.0.len()) {
                    (true, 1) => "write all of it in one place",
                    (true, _) => "give one of them another name, or write all of it in one place",
                    (false, _) => "remove one of them",
                };
                say(format!("duplicate key `{}`", path.last().unwrap_or_default()), help)
            }
            Self::InTwoFiles { path, other } => {
                let name = path.last().unwrap_or_default();
                say(format!("{name} is given in another file, too: {other}"), "remove one of them")
            }
            Self::Unquoted(text) => say(text, "write text in quotes"),
            // Whoever leaves the quotes out is told of what the text looks like without them, and whoever indents with tabs only
            // that they are.
            Self::Syntax(text) => say(
                text,
                match text.split(',').next() {
                    Some("string values must be quoted") => "write text in quotes",
                    Some("invalid boolean") => "write true or false, or text in quotes",
                    Some("invalid float") => "write a number, or text in quotes",
                    Some("a comment") => "JSON has none: remove it, or write TOML or YAML",
                    _ if text.split(' ').any(|word| matches!(word, "tab" | "tabs")) => "indent with spaces",
                    _ => "",
                },
            ),
            _ => say("makes no sense", ""),
        }
    }
}

impl Fault {
    /// What must be known of other settings. While it is not, the fault may be a mere consequence of another one.
    pub(super) fn scope(&self) -> Scope<'_> {
        match self {
            Self::Said(_) => Scope::Whole,
            Self::Needs("pool" | "pools") => Scope::Beside(&["pool", "pools.*"]),
            Self::Needs(key) => Scope::Beside(slice::from_ref(key)),
            Self::Listen(fault) => fault.scope(),
            Self::Backend(fault) => fault.scope(),
            Self::Access(AccessFault::BurstAlone) => Scope::Beside(&["rate"]),
            Self::Unknown { table, name, .. } => Scope::Named(table.key(), name),
            Self::Pool(fault) => fault.scope(),
            Self::Route(fault) => fault.scope(),
            _ => Scope::Own,
        }
    }

    /// Whether it is that something is not there, for which any other thing could stand that is not known.
    pub(super) fn is_lack(&self) -> bool {
        let is_within = matches!(self.scope(), Scope::Within(_));
        is_within || matches!(self, Self::Listen(ListenFault::UnpairedKeys { .. }))
    }
}

/// The faults of a subject are faults.
macro_rules! subjects {
    ($($subject:ident $fault:ty),*) => {$(
        impl From<$fault> for Fault {
            fn from(fault: $fault) -> Self {
                Self::$subject(fault)
            }
        }
    )*};
}

subjects!(
    Listen ListenFault, Backend BackendFault, Access AccessFault, Pool PoolFault, Route RouteFault
);

//! How a fault is said, and what must be known for it to be one: the words that all faults have.

/// Who wrote a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The command line or the environment.
    Flags,
    /// A file.
    File,
}

/// What is said of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// What is wrong.
    pub(super) message: String,
    /// How to mend it.
    pub(super) help: Option<String>,
}

impl By {
    /// One of two texts.
    pub(super) fn pick<T>(self, flags: T, file: T) -> T {
        match self {
            Self::Flags => flags,
            Self::File => file,
        }
    }
}

/// What is wrong, and how to mend it.
pub(super) fn say(message: impl Into<String>, help: impl Into<String>) -> Said {
    Said { message: message.into(), help: Some(help.into()).filter(|help| !help.is_empty()) }
}

/// What is said of a text in which nothing may be blank.
pub(super) fn holds_a_blank(by: By) -> Said {
    let several =
        by.pick("between two is a comma alone", "each of several is in quotes of its own, or in a variable");
    say("holds a blank", format!("remove it; {several}"))
}

/// What must be known of other settings, so that a fault is one: keys that could answer it. Each is a path with dots, where `*`
/// stands for anything in a table or a list. While one of them may be meant, the fault may be a mere consequence of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope<'a> {
    /// Nothing.
    Own,
    /// All that is in the thing itself.
    Whole,
    /// Keys in the table that it is of.
    Within(&'a [&'a str]),
    /// Keys of the table in which it is.
    Beside(&'a [&'a str]),
    /// Keys of the listener, the route, the pool or the section in which it is.
    Entry(&'a [&'a str]),
    /// Keys of the settings as a whole.
    All(&'a [&'a str]),
    /// That a table of the settings has nothing of a name.
    Named(&'a str, &'a str),
}

//! Places: among settings, and in the texts that say them.

use std::fmt::{self, Display, Formatter};
use std::ops::Range;

/// A place among settings: `pools.api.backends[2]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Step>);

/// From a table or a list to a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Key(String),
    /// Among the elements that are not broken, when it comes from settings that were read.
    Index(usize),
}

/// Bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its number among the files.
    pub(super) file: usize,
    pub(super) bytes: Range<usize>,
}

impl Path {
    /// Whether what is in a section has names of the operator's choice.
    pub(super) fn has_names(section: &str) -> bool {
        ["listeners", "routes", "pools"].contains(&section)
    }

    /// The listener, the route, the pool or the other section that this is in.
    pub(super) fn entry(&self) -> Self {
        let is_named = Self::has_names;
        let length = match self.0.first() {
            Some(Step::Key(section)) if is_named(section) => 2,
            _ => 1,
        };
        Self(self.0.iter().take(length).cloned().collect())
    }

    /// The table or the list that it is in.
    pub(super) fn around(&self) -> Self {
        Self(self.0.split_last().map(|(_, steps)| steps.to_vec()).unwrap_or_default())
    }

    /// A part of what stands there.
    pub(super) fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// Its last step, as it is shown.
    pub(super) fn last(&self) -> Option<String> {
        self.0.last().map(|step| match step {
            Step::Key(key) => key.clone(),
            Step::Index(index) => index.to_string(),
        })
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    f.write_str(if place == 0 { "" } else { "." })?;
                    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                    if !key.is_empty() && key.chars().all(bare) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

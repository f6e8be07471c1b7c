//! Flags that are written in the environment: what is wrong with one is told with the name of its variable.

use std::env;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, Error};

use super::Flags;

/// What the names of our variables begin with.
const OURS: &str = "LOADBALANCER_";
/// Letters of a name among which one more may be wrong.
const LONG: usize = 12;

/// What is to be said of variables that mean nothing, and were meant to be one that does.
pub fn slips() -> impl Iterator<Item = String> {
    let given = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut given: Vec<_> = given.collect();
    given.sort_unstable();
    given.into_iter().filter_map(|name| {
        let meant = meant(name.strip_prefix(OURS)?)?;
        Some(format!("{name} means nothing; did you mean {meant}?"))
    })
}

/// The variable that is meant by another one, without what all begin with.
fn meant(given: &str) -> Option<String> {
    let command = Flags::command();
    let known: Vec<_> = command.get_arguments().filter_map(|flag| Some(variable(flag.get_long()?))).collect();
    let known = || known.iter().filter_map(|name| name.strip_prefix(OURS));
    if known().any(|known| known == given) || is_of_kubernetes(given) {
        return None;
    }
    let wrong = |known: &&str| strsim::osa_distance(given, known);
    let nearest = known().min_by_key(wrong)?;
    let most = if given.len() < LONG { 1 } else { 2 };
    (given.len() > 3 && wrong(&nearest) <= most).then(|| format!("{OURS}{nearest}"))
}

/// Each container is told of the services of its namespace, and one may have our name.
fn is_of_kubernetes(name: &str) -> bool {
    name.split('_').any(|part| part == "PORT" || part == "SERVICE")
}

/// The variable that says what a flag does.
pub(super) fn variable(flag: &str) -> String {
    format!("{OURS}{}", flag.trim_start_matches('-').to_uppercase().replace('-', "_"))
}

/// The same error of what a variable says, which names that.
pub(super) fn name_variable(mut error: Error) -> Error {
    if let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        // It is told with what it takes.
        && let Some(flag) = flag.split(' ').next()
        && flag.starts_with("--")
    {
        let variable = ContextValue::String(variable(flag));
        error.insert(ContextKind::InvalidArg, variable);
    }
    error
}

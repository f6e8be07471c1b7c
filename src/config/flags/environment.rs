//! Flags that are written in the environment: what is wrong with one is told with the name of its variable.

use std::env;
use std::ffi::OsString;

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

/// The same error, which names the variable if it is about a value that no word has.
pub(super) fn name_variable(mut error: Error, words: &[OsString]) -> Error {
    let told = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    // A flag is told with what it takes.
    let flag = told(ContextKind::InvalidArg).and_then(|flag| Some(flag.split(' ').next()?.to_owned()));
    let (Some(flag), Some(value)) = (flag, told(ContextKind::InvalidValue)) else { return error };
    let variable = variable(&flag);
    let says_it = |text: OsString| {
        let text = text.to_string_lossy();
        text == value.as_str() || text.split(',').any(|part| part == value)
    };
    let is_word = words.iter().any(|word| *word == *value || *word == *format!("{flag}={value}"));
    if flag.starts_with("--") && !is_word && env::var_os(&variable).is_some_and(says_it) {
        error.insert(ContextKind::InvalidArg, ContextValue::String(variable));
    }
    error
}

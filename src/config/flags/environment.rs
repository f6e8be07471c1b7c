//! Flags that are written in the environment: what is wrong with one is told with the name of its variable.

use std::env;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error};

/// The variable that says what a flag does.
pub(super) fn variable(flag: &str) -> String {
    format!("LOADBALANCER_{}", flag.trim_start_matches('-').to_uppercase().replace('-', "_"))
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

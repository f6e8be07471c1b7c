//! Words and variables that are no text where one is to be: clap does not say which.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use super::environment;
use crate::config::problem::{LONGEST_VALUE, legible};

/// The first word of those that is none.
pub(super) fn word(command: &mut Command, words: &[OsString]) -> Error {
    let mut pairs = words.iter().zip(words.iter().skip(1));
    let said = pairs.find_map(|(before, word)| {
        if word.to_str().is_some() {
            return None;
        }
        let lossy = word.to_string_lossy();
        let flag = match lossy.split_once('=') {
            Some((flag, _)) if flag.starts_with("--") => Some(flag),
            _ => before.to_str().filter(|before| before.starts_with("--") && !before.contains('=')),
        };
        let known = flag.and_then(|flag| flag_of_values(command, flag.trim_start_matches("--")));
        match known {
            Some(flag) if is_path(flag) => None,
            Some(flag) => Some(format!("--{}", flag.get_long()?)),
            None => Some(format!("'{}'", legible(&lossy, LONGEST_VALUE))),
        }
    });
    is_no_text(command, said)
}

/// The first variable of those that are read.
pub(super) fn variable(command: &mut Command) -> Error {
    let is_text = |name: &OsStr| std::env::var_os(name).is_none_or(|value| value.to_str().is_some());
    let is_wrong = |flag: &&Arg| !is_path(flag) && flag.get_env().is_some_and(|name| !is_text(name));
    let said = command.get_arguments().find(is_wrong);
    let said = said.and_then(Arg::get_long).map(environment::variable);
    is_no_text(command, said)
}

fn is_no_text(command: &mut Command, said: Option<String>) -> Error {
    let name = said.as_deref().unwrap_or("what is said");
    let mut error = command.error(ErrorKind::InvalidUtf8, format!("{name}: not UTF-8; write text that is"));
    if let Some(said) = said {
        error.insert(ContextKind::InvalidArg, ContextValue::String(said));
    }
    error
}

/// Files may be called by what is no text, but for what is said of them elsewhere.
fn is_path(flag: &Arg) -> bool {
    flag.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

/// Of any command: they have names of their own.
fn flag_of_values<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut own = command.get_arguments();
    let own = own.find(|flag| flag.get_long() == Some(name) && flag.get_action().takes_values());
    own.or_else(|| command.get_subcommands().find_map(|command| flag_of_values(command, name)))
}

//! The command line: which command takes which flags, and what is said of those that say nothing to it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, Command, CommandFactory, Error, Id, Subcommand};

use super::{Flags, IDLE_IN_DEMO, Remote, textless};
use crate::config::heading;
use crate::config::nearest::nearest;
use crate::config::pool::policy_elsewhere;

/// What is said of a value below zero is said by who knows what it is for: these begin with a sign at most.
const COUNTS: [&str; 4] = ["N", "SIZE", "DURATION", "RATE"];

/// Of the flags of a balancer those that say which one is asked, as it is said to who asks.
const WHOM: [(&str, &str); 3] = [
    (
        "config",
        "File or folder of the balancer's settings: its [admin] says where to ask, unless --admin does",
    ),
    (
        "admin",
        "Address of its admin API, written as for --listen [default: that of --config, otherwise 127.0.0.1:8081]",
    ),
    (
        "admin_token_file",
        "File with what a caller must know [default: that of --config, if that says where to ask]",
    ),
];

/// Of the flags of a balancer those that do nothing in `demo` beside those in whose place it has values: for a file to watch, and
/// for backends that speak TLS, of which it has none.
const USELESS_IN_DEMO: [&str; 6] =
    ["watch", "backend-ca", "backend-tls-name", "backend-cert", "backend-key", "backend-tls-insecure"];

/// What says that a word without a flag is a file of settings.
const ENDINGS: [&str; 4] = ["toml", "yaml", "yml", "json"];

/// All commands, each with the flags that say something to it. What is said before a command or behind it is the same.
pub(super) fn command_line() -> Command {
    reading(|_| true)
}

/// The same, which reads the variables of these flags alone.
pub(super) fn reading(is_read: impl Fn(&Id) -> bool) -> Command {
    let command = Flags::command().mut_args(|flag| {
        let is_count = flag.get_value_names().is_some_and(|names| COUNTS.contains(&names[0].as_str()));
        let flag = if is_count { flag.allow_hyphen_values(true) } else { flag };
        if is_read(flag.get_id()) { flag } else { flag.env(Resettable::Reset) }
    });
    let flags: Vec<_> = command.get_arguments().map(|flag| flag.clone().global(true)).collect();
    let all = |command: Command| command.args(&flags);
    let whom = |command: Command| command.args(flags.iter().filter_map(whom));
    let config = |command: Command| {
        // They may stand before `show`, which shows them.
        let hidden = flags.iter().map(|flag| flag.clone().global(false).hide(true));
        command.arg_required_else_help(false).args(hidden).mut_subcommand("show", all)
    };
    let demo = |command: Command| {
        // They are refused, and told why.
        let is_idle = |flag: &Arg| {
            let is_in = |known: &[&str]| flag.get_long().is_some_and(|flag| known.contains(&flag));
            is_in(&IDLE_IN_DEMO) || is_in(&USELESS_IN_DEMO)
        };
        command.args(flags.iter().map(|flag| flag.clone().hide(is_idle(flag))))
    };
    let command = command.mut_subcommand("demo", demo).mut_subcommand("validate", all);
    names_of_remote()
        .into_iter()
        .fold(command.mut_subcommand("config", config), |command, name| command.mut_subcommand(name, whom))
}

fn whom(flag: &Arg) -> Option<Arg> {
    let (_, help) = WHOM.iter().find(|(id, _)| flag.get_id() == id)?;
    Some(flag.clone().help(help).help_heading(heading::ASKED))
}

fn names_of_remote() -> Vec<String> {
    let commands = Remote::augment_subcommands(Command::new(""));
    commands.get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// Settings are at one place: who names two does not mean the last one.
fn refuse_two_places(command: &mut Command, words: &[OsString]) -> Result<(), Error> {
    let names_one = |word: &&OsString| {
        word.to_str().is_some_and(|word| word == "--config" || word.starts_with("--config="))
    };
    match words.iter().filter(names_one).count() {
        0 | 1 => Ok(()),
        _ => {
            let message = "--config is given twice; name one file, or a folder of them";
            Err(command.error(ErrorKind::ArgumentConflict, message))
        }
    }
}

/// The flags of which the environment may say something: no word does, and the command that is given takes them.
///
/// # Errors
/// The words make no sense, or ask for help.
pub(super) fn left_open(words: &[OsString]) -> Result<Vec<Id>, Error> {
    let mut command = reading(|_| false);
    refuse_two_places(&mut command, words)?;
    let matches = command.try_get_matches_from_mut(words).map_err(|error| match error.kind() {
        // It tells the variables, too.
        ErrorKind::DisplayHelp => command_line().try_get_matches_from(words).err().unwrap_or(error),
        ErrorKind::InvalidUtf8 => textless::word(&mut command, words),
        _ => mended(error, &mut command, words),
    })?;
    let (mut written, mut taker, mut level) = (Vec::new(), &command, &matches);
    loop {
        let is_word = |id: &&Id| level.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        written.extend(level.ids().filter(is_word));
        let Some((name, inner)) = level.subcommand() else { break };
        let Some(inner_taker) = taker.find_subcommand(name) else { break };
        (taker, level) = (inner_taker, inner);
    }
    let takes = |id: &Id| taker.get_arguments().any(|flag| flag.get_id() == id);
    let (written, open): (Vec<_>, Vec<_>) =
        command.get_arguments().partition(|flag| written.contains(&flag.get_id()));
    match written.into_iter().find(|flag| !takes(flag.get_id())).and_then(Arg::get_long) {
        Some(useless) => {
            let (flag, taker) = (format!("--{useless}"), taker.get_name().to_owned());
            Err(says_nothing(&mut command, &flag, &taker))
        }
        None => Ok(open.into_iter().map(Arg::get_id).filter(|id| takes(id)).cloned().collect()),
    }
}

/// The same error, told so that it can be mended: clap does not know what the other commands take.
pub(super) fn mended(error: Error, command: &mut Command, words: &[OsString]) -> Error {
    let wrong = match (error.get(ContextKind::InvalidArg), error.get(ContextKind::InvalidSubcommand)) {
        (Some(ContextValue::String(text)), _) | (None, Some(ContextValue::String(text))) => text.clone(),
        _ => String::new(),
    };
    let error = well_guessed(error);
    let taker = taker_in(command, words);
    let kind = error.kind();
    let is_known = |flag: &str| command.get_arguments().any(|known| known.get_long() == Some(flag));
    match kind {
        ErrorKind::UnknownArgument if wrong.strip_prefix("--").is_some_and(is_known) => {
            let taker = taker.get_name().to_owned();
            says_nothing(command, &wrong, &taker)
        }
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => unknown(error, taker, &wrong, words),
        ErrorKind::MissingSubcommand => {
            let is_shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
            let mut names: Vec<_> = taker.get_subcommands().filter(is_shown).map(Command::get_name).collect();
            names.sort_unstable();
            let message = format!("{}: a command is missing; write {}", taker.get_name(), names.join(" or "));
            command.error(kind, message)
        }
        ErrorKind::MissingRequiredArgument => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(missing)) => {
                let message = missing_from(taker, missing);
                command.error(kind, message)
            }
            _ => error,
        },
        ErrorKind::TooManyValues => {
            told_anew(&error, command, format!("{wrong} takes no value; write {wrong} alone"))
        }
        ErrorKind::ArgumentConflict => {
            let text = error.to_string();
            let problem = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            told_anew(&error, command, format!("{problem}; remove one of them"))
        }
        _ => error,
    }
}

/// With a word that differs in its capitals alone, or is our name for what others call so, and without words that are suggested
/// though they are not near.
fn well_guessed(mut error: Error) -> Error {
    let (said, all) = (error.get(ContextKind::InvalidValue), error.get(ContextKind::ValidValue));
    if let (Some(ContextValue::String(word)), Some(ContextValue::Strings(all))) = (said, all)
        && let ours = policy_elsewhere(word)
        && let Some(meant) = all.iter().find(|known| known.eq_ignore_ascii_case(word) || ours == Some(known))
    {
        let meant = ContextValue::String(meant.clone());
        error.insert(ContextKind::SuggestedValue, meant);
        return error;
    }
    for (wrong, guess) in [
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
        (ContextKind::InvalidValue, ContextKind::SuggestedValue),
    ] {
        let Some(ContextValue::String(word)) = error.get(wrong) else { continue };
        let bare = |word: &'_ str| word.trim_start_matches('-').to_owned();
        let is_near = |guess: &String| nearest(&bare(word), std::iter::once(&*bare(guess))).is_some();
        let is_far = match error.get(guess) {
            Some(ContextValue::String(guess)) => !is_near(guess),
            Some(ContextValue::Strings(guesses)) => !guesses.iter().any(is_near),
            _ => false,
        };
        if is_far {
            error.remove(guess);
        }
    }
    error
}

/// A word that nobody knows may be a flag without its dashes, or a file of settings without its flag.
fn unknown(mut error: Error, taker: &Command, wrong: &str, words: &[OsString]) -> Error {
    // Of `-listen` clap tells the first letter.
    let is_whole = |word: &&str| *word == wrong || (wrong.starts_with('-') && word.starts_with(wrong));
    let word = words.iter().skip(1).filter_map(|word| word.to_str()).find(is_whole).unwrap_or(wrong);
    let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    let is_flag = taker.get_arguments().any(|flag| flag.get_long() == Some(name) && !flag.is_hide_set());
    if is_flag && !word.starts_with("--") {
        if word.starts_with('-') {
            error.insert(ContextKind::InvalidArg, ContextValue::String(word.to_owned()));
        }
        return suggest(error, Some(format!("--{}", word.trim_start_matches('-'))));
    }
    if is_file(wrong) {
        let takes_files = taker.get_arguments().any(|flag| flag.get_long() == Some("config"));
        return suggest(error, takes_files.then(|| format!("--config {wrong}")));
    }
    error
}

/// What is missing, and what it is if that is one thing.
fn missing_from(taker: &Command, missing: &[String]) -> String {
    let [one] = missing else { return format!("{} are missing", missing.join(" and ")) };
    let argument = taker.get_arguments().find(|argument| argument.to_string() == *one);
    let values = argument.map(Arg::get_possible_values).unwrap_or_default();
    let values: Vec<_> = values.iter().map(|value| value.get_name()).collect();
    match argument.and_then(Arg::get_help) {
        _ if !values.is_empty() => format!("{one} is missing; use {}", values.join(" or ")),
        Some(help) => format!("{one} is missing: {help}"),
        None => format!("{one} is missing"),
    }
}

/// In other words, but of the same flag and value.
fn told_anew(error: &Error, command: &mut Command, message: String) -> Error {
    let mut anew = command.error(error.kind(), message);
    for (kind, value) in error
        .context()
        .filter(|(kind, _)| matches!(kind, ContextKind::InvalidArg | ContextKind::InvalidValue))
    {
        anew.insert(kind, value.clone());
    }
    anew
}

/// The command that words name.
fn taker_in<'a>(command: &'a Command, words: &[OsString]) -> &'a Command {
    let inner = |taker: &'a Command, word: &OsString| taker.find_subcommand(word).unwrap_or(taker);
    words.iter().skip(1).fold(command, inner)
}

fn is_file(word: &str) -> bool {
    let path = Path::new(word);
    let ending = path.extension().and_then(OsStr::to_str);
    !word.starts_with('-') && (ending.is_some_and(|ending| ENDINGS.contains(&ending)) || path.exists())
}

fn suggest(mut error: Error, meant: Option<String>) -> Error {
    if let Some(meant) = meant {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(meant));
    }
    error
}

fn says_nothing(command: &mut Command, flag: &str, taker: &str) -> Error {
    let message = format!("{flag} says nothing to {taker}; remove it");
    let mut error = command.error(ErrorKind::UnknownArgument, message);
    error.insert(ContextKind::InvalidArg, ContextValue::String(flag.to_owned()));
    error
}

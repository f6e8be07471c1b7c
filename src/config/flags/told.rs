//! What is said of words that are no flags of ours.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::problem::{LONGEST_TEXT, LONGEST_VALUE, legible};

/// clap's report is a paragraph; an operator's log wants a line. What was written may have ends of lines in it.
pub fn in_one_line(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()).filter(|text| !text.is_empty()),
        _ => None,
    };
    let value = |text: &str| legible(text, LONGEST_VALUE);
    let strange = |kind| context(kind).filter(|text| value(text) != **text).map(value);
    let (flag, of_flag) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    let problem = match (error.kind(), flag, of_flag) {
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(flag), Some(of_flag)) => {
            let why = error.source().map(|why| format!(": {}", legible(&why.to_string(), LONGEST_TEXT)));
            format!("invalid value '{}' for '{flag}'{}", value(of_flag), why.unwrap_or_default())
        }
        _ => match (strange(ContextKind::InvalidArg), strange(ContextKind::InvalidSubcommand)) {
            (Some(word), _) => format!("unexpected argument '{word}' found"),
            (None, Some(word)) => format!("unrecognized subcommand '{word}'"),
            (None, None) => {
                let text = error.to_string();
                text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        },
    };
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand];
    let nearest = match suggested.iter().find_map(|kind| error.get(*kind)) {
        Some(ContextValue::String(nearest)) => format!("; did you mean {}?", value(nearest)),
        Some(ContextValue::Strings(nearest)) if !nearest.is_empty() => {
            format!("; did you mean {}?", nearest.join(" or "))
        }
        _ => match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(all)) if !all.is_empty() => format!("; use {}", all.join(" or ")),
            _ => String::new(),
        },
    };
    format!("{problem}{nearest}")
}

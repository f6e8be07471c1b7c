//! Whether something is so, as operators write it in a variable of the environment.

/// A text says neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected true or false")]
pub struct SwitchError;

/// Parses `true` or `false`, and other words that are usual for them.
///
/// # Errors
/// When it is none of them.
pub fn parse_switch(text: &str) -> Result<bool, SwitchError> {
    match text.to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err(SwitchError),
    }
}

//! That there is no file left, and what would help.

use std::io;

use rustix::io::Errno;

/// Whether there was no file left.
pub fn is_want_of_files(error: &io::Error) -> bool {
    of_files(error).is_some()
}

/// What would help where a file cannot be opened: more files, if there was none left.
pub fn remedy<'a>(error: &io::Error, otherwise: &'a str) -> &'a str {
    of_files(error).unwrap_or(otherwise)
}

/// Of a file that cannot be read: why, and what would help.
pub fn unreadable(error: &io::Error, otherwise: &str) -> String {
    format!("cannot be read: {error}; {}", remedy(error, otherwise))
}

fn of_files(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => Some("raise the limit with `ulimit -n`"),
        Some(Errno::NFILE) => Some("raise the machine's limit with `sysctl fs.file-max`"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_help_is_what_there_is_too_little_of() {
        let said = |error: Errno| remedy(&error.into(), "let us");
        assert_eq!(said(Errno::MFILE), "raise the limit with `ulimit -n`");
        assert_eq!(said(Errno::NFILE), "raise the machine's limit with `sysctl fs.file-max`");
        assert_eq!(said(Errno::ACCESS), "let us");
    }
}

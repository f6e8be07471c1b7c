//! Processes that take the place of others.

use std::process::Command;

use super::Running;

/// What a process says when another one has taken its place.
const TOOK_OVER: &str = " serves in place of this one";

/// A process that took over, until it is dropped.
pub struct Successor(pub u32);

impl Successor {
    /// Asks a process for one. Earlier ones have said what this one is to say.
    pub fn of(id: u32, said_by: &Running, earlier: usize) -> Self {
        signal("USR2", id);
        Self::named_in(&said_by.said_times(TOOK_OVER, earlier + 1))
    }

    /// The one that a line names.
    pub fn named_in(line: &str) -> Self {
        let id = line.split_whitespace().skip_while(|word| *word != "process").nth(1);
        Self(id.and_then(|id| id.parse().ok()).expect("the number of a process"))
    }

    /// All that these lines tell of. Whoever starts them may be gone before it has them in hand.
    pub fn all_in(lines: &[String]) -> Vec<Self> {
        lines.iter().filter(|line| line.contains(TOOK_OVER)).map(|line| Self::named_in(line)).collect()
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        // It may have been replaced itself, and ended.
        let _ = Command::new("kill").args(["-KILL", &self.0.to_string()]).output();
    }
}

/// Sends a process a signal, by the name that `kill` knows.
pub fn signal(name: &str, id: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status();
    assert!(status.expect("there is a kill command").success(), "kill -{name}");
}

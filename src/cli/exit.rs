//! With what status the program ends, and why.

/// It could not be done.
pub const FAILED: u8 = 1;
/// What was written makes no sense.
pub const USAGE: u8 = 2;
/// A plan would change something, and it was asked whether; a change did not stay, and it was asked to watch it.
pub const OTHERWISE: u8 = 3;
/// What a shell reports of a program that SIGINT ended.
pub const INTERRUPTED: u8 = 130;

/// All of them, and what each means: with names of flags and commands between backticks.
pub(super) const ALL: [(u8, &str); 5] = [
    (0, "It did what was asked, or ended as it was told to."),
    (
        FAILED,
        "It could not be done: a file of settings cannot be read, a name cannot be resolved, the system refuses something (a port that another program has), a balancer that was asked refuses it or cannot be reached, or a worker panicked.",
    ),
    (
        USAGE,
        "What was written makes no sense: a flag, a value, or what a file of settings says. Nothing was started or changed.",
    ),
    (OTHERWISE, "`plan --exit-code`: something would change. `reload --confirm`: the change was taken back."),
    (
        INTERRUPTED,
        "A second signal cut what was under way, or Ctrl+C ended the wait of `reload --confirm`: the change is watched all the same.",
    ),
];

//! What is asked of a balancer that runs.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::config::duration::parse_duration;
use crate::config::number::parse_number;
use crate::config::pool::MOST_WEIGHT;

/// For how long a change may be watched.
pub const CONFIRM_TIMES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// Its weight as the settings say it.
const AS_SET: &str = "default";

/// What is asked of a balancer that runs, through its admin API (see --admin).
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Remote {
    /// Show what runs: pools, backends, their state and why. Exit status of this and all other questions to a balancer that
    /// runs: 0 if it did what was asked, 1 if it refused or cannot be reached
    Status(Form),
    /// Give a backend no new clients; requests under way end. It holds until `enable`, also over reloads
    Drain(Target),
    /// Give a backend neither requests nor checks. It holds until `enable`, also over reloads
    Disable(Target),
    /// Give a backend requests again, after `drain` or `disable`
    Enable(Target),
    /// Give a backend another weight than its settings say. It holds until the next one, also over reloads
    Weight {
        /// Which, and how it is told.
        #[command(flatten)]
        target: Target,
        /// From 0 to 10000, or `default` for what the settings say
        #[arg(value_name = "N", value_parser = parse_weight, allow_negative_numbers = true)]
        weight: NewWeight,
    },
    /// Say what a file of settings would change, down to requests that would go elsewhere, and change nothing
    Plan {
        /// File to read: .toml, .yaml, .yml or .json, or `-` for TOML on standard input
        file: PathBuf,
        /// End with exit status 3 if anything would change
        #[arg(long)]
        exit_code: bool,
        /// How it is told.
        #[command(flatten)]
        form: Form,
    },
    /// Let it read its files anew. With --confirm, wait for what comes of it: the exit status is 0 if the change stays, and 3
    /// if it was taken back
    Reload {
        /// Watch the change for so long, and take it back if things get worse
        #[arg(long, value_name = "DURATION", value_parser = parse_confirm)]
        confirm: Option<Duration>,
        /// Do not wait until a change that is watched stays or was taken back: `status` tells
        #[arg(long, requires = "confirm")]
        no_wait: bool,
        /// Only find out whether it could be done
        #[arg(long, conflicts_with = "confirm")]
        dry_run: bool,
        /// How it is told.
        #[command(flatten)]
        form: Form,
    },
}

/// A backend, and how what came of it is told.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// POOL/ADDRESS, or ADDRESS alone if only one pool has it
    pub backend: String,
    /// How it is told.
    #[command(flatten)]
    pub form: Form,
}

/// How it is told.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Say it as JSON, on standard output
    #[arg(long)]
    pub json: bool,
}

/// A weight in place of that of the settings; none for theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewWeight(pub Option<u32>);

impl Remote {
    /// How what came of it is told.
    pub fn form(&self) -> Form {
        match self {
            Self::Status(form) | Self::Plan { form, .. } | Self::Reload { form, .. } => *form,
            Self::Drain(target) | Self::Disable(target) | Self::Enable(target) => target.form,
            Self::Weight { target, .. } => target.form,
        }
    }
}

fn parse_weight(text: &str) -> Result<NewWeight, String> {
    if text == AS_SET {
        return Ok(NewWeight(None));
    }
    match parse_number::<u32>(text) {
        Ok(weight) if weight <= MOST_WEIGHT => Ok(NewWeight(Some(weight))),
        _ => Err(format!("write a whole number from 0 to {MOST_WEIGHT}, or `{AS_SET}`")),
    }
}

fn parse_confirm(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).ok().filter(|time| CONFIRM_TIMES.contains(time));
    time.ok_or_else(|| "write a time from 1s to 1h, for example 60s".to_owned())
}

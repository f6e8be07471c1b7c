//! What is done without a balancer.

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::Shell;

use crate::config::format::Format;

/// What is done with settings, without a balancer.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Tool {
    /// Check the settings and the files that they name, and start nothing. Exit status: 0 if all is well (what is wrong with a file
    /// that `discover` follows is only said), 1 if a file of settings cannot be read or the name of a backend cannot be
    /// resolved, 2 if it makes no sense
    Validate {
        /// Say it as JSON, on standard output
        #[arg(long)]
        json: bool,
    },
    /// Show or convert settings
    #[command(subcommand)]
    Config(ConfigTool),
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, for man(1), or write it to a folder with those of all commands
    Man {
        /// Folder for the pages: one that man(1) looks in, such as /usr/local/share/man/man1
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

/// What is done with a file of settings.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigTool {
    /// Print the settings, those of all files and flags together
    Show {
        /// With the defaults of all that nobody wrote
        #[arg(long)]
        effective: bool,
        /// How
        #[arg(long, value_enum, value_name = "FORMAT", default_value = "toml")]
        format: Format,
    },
    /// Print the JSON Schema of the file, for editors
    Schema,
    /// Say a file of settings in another format, which the name of OUT tells, or --to. Comments are lost
    Convert {
        /// File to read: .toml, .yaml, .yml or .json, or `-` for TOML on standard input
        #[arg(value_name = "IN")]
        from: PathBuf,
        /// File to write: .toml, .yaml, .yml or .json, or any with --to; standard output if there is none, or if it is `-`
        #[arg(value_name = "OUT")]
        into: Option<PathBuf>,
        /// Format to write
        #[arg(long, value_enum, value_name = "FORMAT", required_unless_present = "into")]
        to: Option<Format>,
    },
    /// Print the reference of all keys, as Markdown
    #[command(hide = true)]
    Reference,
}

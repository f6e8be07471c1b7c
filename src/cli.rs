//! What the program does with settings when it does not balance: check, show and convert them, and describe itself.

pub mod exit;
pub mod manual;
mod remote;

use std::fmt::Display;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::app;
use crate::backends::Weighed;
use crate::config::{
    ConfigTool, Converted, Flags, Format, Loaded, Problem, Problems, Remote, STDIN, Sources, Tool, convert,
    name_of, read_text, reference, schema, slips,
};
use crate::control::{starved, unlisted};
use crate::telemetry::complain;

use exit::{FAILED, USAGE};

/// What to do about a file that cannot be read.
const READABLE: &str = "name a file that we may read";

/// Does what a tool is for. `open_files` is the process's limit on open files.
pub fn run(tool: &Tool, flags: &Flags, open_files: u64) -> ExitCode {
    let sources = || Sources::new(flags.clone(), open_files);
    match tool {
        Tool::Validate { json } => validate(&sources().checked(app::check), *json),
        Tool::Config(ConfigTool::Show { effective, format }) => match sources().load() {
            Ok(loaded) => print(&loaded.show(*effective, *format)),
            Err(problems) => refuse(&problems),
        },
        Tool::Config(ConfigTool::Schema) => {
            let schema = serde_json::to_string_pretty(&schema()).expect("a schema can be written as JSON");
            print(&(schema + "\n"))
        }
        Tool::Config(ConfigTool::Reference) => print(&reference()),
        Tool::Config(ConfigTool::Convert { from, into, to }) => convert_file(from, into.as_deref(), *to),
        Tool::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Flags::command_line(), "loadbalancer", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Tool::Man { folder: None } => match manual::page() {
            Ok(page) => print(&String::from_utf8_lossy(&page)),
            Err(error) => fail(&error),
        },
        Tool::Man { folder: Some(folder) } => match manual::write_to(folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                fail(&format_args!("{}: {error}; name a folder that we may write to", folder.display()))
            }
        },
    }
}

/// Asks a balancer that runs.
pub fn ask(remote: &Remote, flags: &Flags) -> ExitCode {
    remote::run(remote, flags)
}

/// Says what is wrong with settings, drawn on standard error, and gives the exit status for it.
pub fn refuse(problems: &Problems) -> ExitCode {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    complain(problems.draw(colour));
    status_of(problems)
}

/// Who cannot read settings, or resolve a name, does not know whether they make sense.
fn status_of(problems: &Problems) -> ExitCode {
    ExitCode::from(if problems.may_pass() { FAILED } else { USAGE })
}

/// Prints what was asked for, and gives the exit status for it.
pub fn answer(text: &str) -> ExitCode {
    print(text)
}

/// Says as JSON that words of the command line make no sense, and gives the exit status for it.
pub fn refuse_words(flag: Option<String>, value: Option<String>, message: String) -> ExitCode {
    let problem = Problem::of_words(flag, value, message);
    let _ = Validated { valid: false, files: Vec::new(), problems: &[problem], more: false }.print();
    ExitCode::from(USAGE)
}

/// What `validate --json` says.
#[derive(Serialize)]
struct Validated<'a> {
    valid: bool,
    files: Vec<String>,
    problems: &'a [Problem],
    /// Whether more is wrong than that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
}

impl Validated<'_> {
    fn print(&self) -> ExitCode {
        let text = serde_json::to_string_pretty(self).expect("what was found can be written as JSON");
        print(&(text + "\n"))
    }
}

fn validate(sources: &Sources, json: bool) -> ExitCode {
    let loaded = sources.load();
    let told = match (&loaded, json) {
        (_, true) => {
            let files = loaded.iter().flat_map(|loaded| &loaded.files);
            let files = files.map(|file| file.display().to_string()).collect();
            let problems = loaded.as_ref().err().map(Problems::all).unwrap_or_default();
            let more = loaded.as_ref().is_err_and(Problems::has_more);
            Validated { valid: loaded.is_ok(), files, problems, more }.print()
        }
        (Ok(loaded), false) => {
            let weighed = Weighed::default();
            let starved = starved(&loaded.config, &weighed);
            let remarks = loaded.remarks.iter().cloned().chain(starved).chain(unlisted(&loaded.config));
            slips().chain(remarks).for_each(say);
            print(&format!("{}\n", praise(loaded)))
        }
        (Err(problems), false) => refuse(problems),
    };
    match loaded {
        // What nobody was told is none.
        Ok(_) => told,
        Err(problems) => status_of(&problems),
    }
}

fn praise(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let files: Vec<_> = loaded.files.iter().map(|file| file.display().to_string()).collect();
    let files = if files.is_empty() { "settings".to_owned() } else { files.join(", ") };
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    format!(
        "{files}: all is well: {}, {}, {}, {}",
        count(config.listeners.len(), "listener"),
        count(config.routes.len(), "route"),
        count(config.pools.len(), "pool"),
        count(config.pools.iter().map(|pool| pool.backends.len()).sum(), "backend"),
    )
}

fn convert_file(from: &Path, into: Option<&Path>, to: Option<Format>) -> ExitCode {
    let number = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    if let Some(into) = into.filter(|into| number(into).is_some() && number(into) == number(from)) {
        let help = "name another one, or none for standard output";
        say(format_args!("{}: is the file to read; {help}", into.display()));
        return ExitCode::from(USAGE);
    }
    let Some(to) = to.or_else(|| Format::told_by(into?)) else {
        let help = "add --to FORMAT, or end it in .toml, .yaml, .yml or .json";
        say(format_args!("{}: its name tells no format; {help}", into.unwrap_or(Path::new(STDIN)).display()));
        return ExitCode::from(USAGE);
    };
    let is_standard = |path: &Path| path.as_os_str() == STDIN;
    let text = read_text(Some(from).filter(|from| !is_standard(from)));
    let Converted { text, starts_from_folder } =
        match text.and_then(|text| convert(&name_of(from), &text, Format::of(from), to)) {
            Ok(converted) => converted,
            Err(problems) => return refuse(&problems),
        };
    // Standard input and what is posted start from where one is.
    let folder = |path: &Path| {
        let path = if is_standard(path) { Path::new("") } else { path.parent().unwrap_or(Path::new("")) };
        fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
    };
    match into.filter(|into| !is_standard(into)) {
        None => print(&text),
        Some(into) => match fs::write(into, text) {
            Ok(()) => {
                if let Some(name) = starts_from_folder.filter(|_| folder(from) != folder(into)) {
                    say(format_args!("{}: {name} is looked for in its folder from now on", into.display()));
                }
                ExitCode::SUCCESS
            }
            Err(error) => fail(&format_args!(
                "{}: cannot be written: {error}; name a file that we may write to",
                into.display()
            )),
        },
    }
}

/// To standard output. A reader that has seen enough is no failure.
fn print(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error),
        _ => ExitCode::SUCCESS,
    }
}

fn fail(problem: &dyn Display) -> ExitCode {
    say(problem);
    ExitCode::from(FAILED)
}

/// To standard error, in the program's name.
fn say(remark: impl Display) {
    complain(format_args!("loadbalancer: {remark}"));
}

//! The pages for man(1): what clap knows of each command, and what an operator looks for besides. The tables of the README are
//! made of the same.

use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use crate::config::Flags;

use super::exit;

/// What a signal does to a balancer.
const SIGNALS: [(&str, &str); 4] = [
    (
        "TERM, INT, QUIT",
        "stops, at once or after `--notice-timeout`: running requests have `--drain-timeout` to end. A second one, also during the notice, cuts what is under way, a third one waits for nothing",
    ),
    ("HUP", "reads the settings anew, and the files for TLS to backends"),
    (
        "USR2",
        "starts the program's file anew, which takes over without a lost connection; then this process ends when its clients have gone, or after `--succession-timeout`",
    ),
    ("USR1", "nothing, and a warning says so: logs that were renamed are opened anew without a signal"),
];

/// How the environment stands for flags.
const ENVIRONMENT: [&str; 3] = [
    "Each flag of a balancer can also be given by the environment, as `LOADBALANCER_` and its name in capitals (`LOADBALANCER_HEALTH_PATH=/health`). Where a flag may be repeated, values are separated by commas.",
    "A flag on the command line wins over the environment. A name that is nearly one of these is warned of.",
    "With `NO_COLOR` set, nothing is coloured.",
];

/// Files that are read, and how each is called.
const FILES: [(&str, &str); 4] = [
    (
        "FILE of --config",
        "Settings: TOML, or YAML or JSON by its name. None is read unless `--config` names one. `loadbalancer config schema` prints what it may say.",
    ),
    ("FOLDER/loadbalancer.toml", "Of a folder that `--config` names, what is read first."),
    ("FOLDER/conf.d/*.toml", "What is read after it, in the order of their names."),
    ("FOLDER/*.toml", "What is read of a folder without loadbalancer.toml."),
];

/// What to write, and for what. `tests/it` reads each of them as the program does.
const EXAMPLES: [(&str, &str); 8] = [
    ("loadbalancer --listen :80 --backend 10.0.0.1:8000 --backend 10.0.0.2:8000", "Flags alone."),
    ("loadbalancer --config /etc/loadbalancer --watch", "A folder of settings, read anew when they change."),
    ("loadbalancer demo", "A balancer and two sample backends, and what to try with them."),
    ("loadbalancer validate --config lb.toml", "All that is wrong with a file, with line and column."),
    ("loadbalancer config convert lb.yaml lb.toml", "The same settings in another format."),
    ("loadbalancer status", "What runs, and why each backend is in its state."),
    ("loadbalancer drain web/10.0.0.1:8000", "No new clients for a backend, until `enable`."),
    ("loadbalancer reload --confirm 60s", "A change that is taken back if things get worse within a minute."),
];

/// The page of the whole program.
pub(super) fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let command = built();
    write(&command, &command, &mut page)?;
    Ok(page)
}

/// Writes the pages of all commands to a folder.
pub(super) fn write_to(folder: &Path) -> io::Result<()> {
    let command = built();
    for own in all(&command) {
        let mut page = Vec::new();
        write(own, &command, &mut page)?;
        std::fs::write(folder.join(format!("{}.1", name(own))), page)?;
    }
    Ok(())
}

/// The table of signals, as Markdown.
pub fn signals() -> String {
    let rows = SIGNALS.map(|(signal, what)| format!("| {signal} | {what} |\n"));
    format!("| signal | what it does |\n|---|---|\n{}", rows.concat())
}

/// The table of exit statuses, as Markdown.
pub fn exit_statuses() -> String {
    let rows = exit::ALL.map(|(status, why)| format!("| {status} | {why} |\n"));
    format!("| exit status | why |\n|--:|---|\n{}", rows.concat())
}

/// How the environment stands for flags, as Markdown.
pub fn environment() -> String {
    ENVIRONMENT.map(|text| format!("{text}\n")).concat()
}

/// The command line with the full name of each command.
fn built() -> Command {
    let mut command = Flags::command_line().disable_help_subcommand(true);
    command.build();
    command
}

/// A command and all below it that are shown.
fn all(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|below| !below.is_hide_set());
    std::iter::once(command).chain(below.flat_map(all)).collect()
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn write(command: &Command, program: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let man = Man::new(command.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(page)?;
    }
    more(command, program).to_writer(page)?;
    if command.get_version().is_some() { man.render_version_section(page) } else { Ok(()) }
}

/// What clap does not know.
fn more(command: &Command, program: &Command) -> Roff {
    let mut roff = Roff::new();
    // Names are looked for as they are: none is parted at the end of a line.
    roff.control("nh", []);
    roff.control("ad", ["l"]);
    let takes = |flag: &str| command.get_arguments().any(|known| known.get_long() == Some(flag));
    let is_balancer = name(command) == name(program) || command.get_name() == "demo";
    let variables: Vec<_> = command
        .get_arguments()
        .filter(|flag| !flag.is_hide_set())
        .filter_map(|flag| flag.get_env()?.to_str())
        .collect();
    if !variables.is_empty() {
        roff.control("SH", ["ENVIRONMENT"]);
        for text in ENVIRONMENT {
            paragraph(&mut roff, text);
        }
        paragraph(&mut roff, "These are read here:");
        roff.control("nf", []);
        for variable in variables {
            roff.text([roman(variable)]);
        }
        roff.control("fi", []);
    }
    if is_balancer {
        section(&mut roff, "SIGNALS", SIGNALS.map(|(signal, what)| (signal.to_owned(), format!("{what}."))));
    }
    section(&mut roff, "EXIT STATUS", exit::ALL.map(|(status, why)| (status.to_string(), why.to_owned())));
    if takes("config") {
        section(&mut roff, "FILES", FILES.map(|(file, what)| (file.to_owned(), what.to_owned())));
    }
    let own = name(command).replace('-', " ");
    let is_own = |example: &str| example.strip_prefix(&own).is_some_and(|rest| rest.starts_with(' '));
    let examples: Vec<_> =
        EXAMPLES.into_iter().filter(|(example, _)| is_own(example) || *example == own).collect();
    if !examples.is_empty() {
        section(
            &mut roff,
            "EXAMPLES",
            examples.into_iter().map(|(line, what)| (line.to_owned(), what.to_owned())),
        );
    }
    roff.control("SH", ["SEE ALSO"]);
    let others = all(program).into_iter().map(name).filter(|other| *other != name(command));
    let others: Vec<_> = others.map(|other| format!("{other}(1)")).collect();
    roff.text([roman(others.join(", "))]);
    roff
}

/// Terms and what is said of each.
fn section(roff: &mut Roff, title: &str, terms: impl IntoIterator<Item = (String, String)>) {
    roff.control("SH", [title]);
    for (term, text) in terms {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text(inlines(&text));
    }
}

fn paragraph(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.text(inlines(text));
}

/// What stands between backticks is shown as what is typed.
fn inlines(text: &str) -> Vec<Inline> {
    let part = |(number, part)| if number % 2 == 0 { roman(part) } else { bold(part) };
    text.split('`').enumerate().map(part).collect()
}

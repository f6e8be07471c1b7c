//! The house rules that a machine can check: layers, caps, words, and tables that say what the code says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as a test does")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use loadbalancer::cli::manual;
use loadbalancer::config::Flags;

/// A module may name only itself and those before it.
const LAYERS: [&str; 12] = [
    "telemetry",
    "config",
    "connect",
    "backends",
    "balance",
    "route",
    "snapshot",
    "proxy",
    "server",
    "control",
    "app",
    "cli",
];
/// Lines that a file may have; most have far fewer.
const FILE_CAP: usize = 500;
/// Synonyms of words in docs/lexicon.md.
const FOREIGN: [&str; 13] = [
    "upstream",
    "upstreams",
    "downstream",
    "frontend",
    "entrypoint",
    "cluster",
    "endpoint",
    "endpoints",
    "shard",
    "reactor",
    "permit",
    "ping",
    "pings",
];

#[test]
fn modules_name_only_the_layers_before_them() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src", "rs") {
        let Some(own) = layer_of(&path) else { continue };
        for (named, line) in text.lines().flat_map(|line| layers_named_in(line).map(move |name| (name, line)))
        {
            let other = position(named);
            let joined = LAYERS[own] == "control" && named == "server";
            if other > own || joined {
                wrong.push(format!("{}: {} may not name {named}: {line}", path.display(), LAYERS[own]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_its_place_among_the_layers() {
    let apart = ["demo", "lib"];
    for (path, _) in sources("src", "rs") {
        let top = path.strip_prefix(root().join("src")).unwrap().iter().next().unwrap().to_string_lossy();
        let top = top.trim_end_matches(".rs");
        assert!(LAYERS.contains(&top) || apart.contains(&top) || top == "bin", "{top} is in no layer");
    }
}

/// A folder is one module with the file of its name. `config.rs` names all of them, and so none of them may take from it.
#[test]
fn modules_of_settings_do_not_take_from_each_other_in_a_circle() {
    let mut taken = BTreeMap::<String, BTreeSet<&str>>::new();
    let sources = sources("src/config", "rs");
    for (path, text) in &sources {
        let parts: Vec<_> = path.strip_prefix(root().join("src/config")).unwrap().iter().collect();
        if parts.iter().any(|part| *part == "tests" || *part == "tests.rs") {
            continue;
        }
        let own = parts[0].to_str().unwrap().trim_end_matches(".rs");
        let code = text.split("#[cfg(test)]").next().unwrap();
        let of_parent = code.split("super::").skip(1).filter(|_| parts.len() == 1);
        let names = code.split("crate::config::").skip(1).chain(of_parent);
        let names = names.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap());
        taken.entry(own.to_owned()).or_default().extend(names.filter(|name| *name != own));
    }
    while let Some(lowest) = taken.iter().find(|(_, from)| from.is_empty()).map(|(own, _)| own.clone()) {
        taken.remove(&lowest);
        taken.values_mut().for_each(|from| from.retain(|name| *name != lowest));
    }
    assert!(taken.is_empty(), "in circles, above them, or from what is no module: {taken:?}");
}

#[test]
fn only_its_own_module_names_the_global_list_of_backends() {
    for (path, text) in sources("src", "rs") {
        let own = path.ends_with("src/backends.rs");
        assert!(own || !text.contains("BACKENDS"), "{} names BACKENDS", path.display());
    }
}

#[test]
fn files_are_small() {
    for (path, text) in sources("src", "rs").into_iter().chain(sources("tests", "rs")) {
        let lines = text.lines().count();
        assert!(lines <= FILE_CAP, "{} has {lines} lines; {FILE_CAP} are the cap: split it", path.display());
    }
}

#[test]
fn one_word_stands_for_one_idea() {
    let files = sources("src", "rs").into_iter().chain(sources("docs", "md")).chain(pages());
    // These say what others say.
    let is_about_words = |path: &Path| {
        ["docs/lexicon.md", "docs/coming-from.md", "config/elsewhere.rs"]
            .iter()
            .any(|page| path.ends_with(page))
    };
    for (path, text) in files.filter(|(path, _)| !is_about_words(path)) {
        for word in text.split(|c: char| !c.is_alphanumeric() && c != '\'') {
            // PING is the name of a frame.
            let foreign = word != "PING" && FOREIGN.contains(&word.to_lowercase().as_str());
            assert!(!foreign, "{} says {word}; docs/lexicon.md has another word for it", path.display());
        }
    }
}

#[test]
fn nothing_is_put_off() {
    for (path, text) in sources("src", "rs").into_iter().chain(sources("docs", "md")).chain(pages()) {
        for word in ["TODO", "FIXME", "XXX", "todo!", "unimplemented!"] {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
}

/// `print!` and its like panic when nobody takes what they say.
#[test]
fn nothing_is_said_in_a_way_that_panics() {
    for (path, text) in sources("src", "rs") {
        for word in ["print!(", "println!("] {
            assert!(!text.contains(word), "{} says {word}: telemetry::complain forgives", path.display());
        }
    }
}

#[test]
fn the_table_of_flags_in_the_readme_is_what_the_program_takes() {
    let mut table = "| flag | default | meaning |\n|---|---|---|\n".to_owned();
    let command = Flags::command();
    for flag in command.get_arguments().filter(|flag| flag.get_env().is_some()) {
        let values = flag.get_default_values().iter().filter(|_| flag.get_action().takes_values());
        let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
        let default = if values.is_empty() { String::new() } else { format!("`{}`", values.join(",")) };
        let name = flag.get_long().unwrap();
        let takes_value = flag.get_action().takes_values();
        let value = takes_value.then(|| format!(" {}", flag.get_value_names().unwrap()[0]));
        let value = value.unwrap_or_default();
        let help = flag.get_help().unwrap().to_string();
        table += &format!("| `--{name}{value}` | {default} | {help} |\n");
    }
    expect_part("README.md", "flags", &table);
}

#[test]
fn what_the_readme_says_of_signals_exit_statuses_and_the_environment_is_what_the_manual_says() {
    expect_part("README.md", "signals", &manual::signals());
    expect_part("README.md", "exit statuses", &manual::exit_statuses());
    expect_part("README.md", "environment", &manual::environment());
}

#[test]
fn the_reference_of_the_configuration_is_that_of_the_code() {
    expect_part("docs/configuration.md", "configuration", &loadbalancer::config::reference());
}

#[test]
fn every_flag_can_be_given_by_the_environment_under_its_own_name() {
    for flag in Flags::command().get_arguments() {
        let Some(variable) = flag.get_env() else { continue };
        let name = flag.get_long().unwrap().to_uppercase().replace('-', "_");
        assert_eq!(variable.to_string_lossy(), format!("LOADBALANCER_{name}"));
    }
}

#[test]
fn the_table_of_errors_in_the_docs_and_the_list_of_reasons_are_those_of_the_code() {
    let code = fs::read_to_string(root().join("src/proxy/error.rs")).unwrap();
    let rows = code.lines().filter(|line| line.trim_start().starts_with("Self::") && line.contains("=> ("));
    let mut table =
        "| status | reason | whose fault | `Proxy-Status` | termination |\n|---|---|---|---|---|\n"
            .to_owned();
    let mut reasons = Vec::new();
    for row in rows {
        let cells = row.split_once("=> (").unwrap().1.trim_end_matches("),");
        let cells: Vec<_> = cells.split(',').map(|cell| cell.trim().trim_matches('"')).collect();
        let [fault, status, reason, proxy_status, termination] = cells[..] else { panic!("{row}") };
        let fault = fault.to_lowercase();
        reasons.push(reason);
        table += &format!("| {status} | `{reason}` | {fault} | `{proxy_status}` | `{termination}` |\n");
    }
    expect_part("docs/errors.md", "errors", &table);
    reasons.dedup();
    assert_eq!(reasons, loadbalancer::proxy::REASONS);
}

#[test]
fn the_table_of_problems_in_the_docs_is_that_of_the_code() {
    let code = fs::read_to_string(root().join("src/control/admin/refused.rs")).unwrap();
    let rows = code.lines().filter_map(|line| line.trim_start().strip_prefix("=> (StatusCode::"));
    let mut table = "| status | type | title |\n|---|---|---|\n".to_owned();
    for row in rows {
        let cells: Vec<_> = row.trim_end_matches("),").splitn(3, ", ").collect();
        let [status, kind, title] = cells[..] else { panic!("{row}") };
        let kind = kind.trim_start_matches("ProblemKind::");
        let parted = kind.chars().flat_map(|c| c.is_uppercase().then_some('-').into_iter().chain([c]));
        let kind = parted.collect::<String>().trim_start_matches('-').to_lowercase();
        let status = status.to_lowercase().replace('_', " ");
        let title = title.trim_matches('"');
        table += &format!("| {status} | `urn:loadbalancer:problem:{kind}` | {title} |\n");
    }
    expect_part("docs/admin-api.md", "problems", &table);
}

#[test]
fn the_table_of_metrics_in_the_docs_is_that_of_the_code() {
    expect_part("docs/metrics.md", "metrics", &loadbalancer::control::metrics_reference());
}

#[test]
fn the_document_of_the_admin_api_is_the_one_that_the_program_gives() {
    let wanted = serde_json::to_string_pretty(&loadbalancer::control::openapi()).unwrap() + "\n";
    let path = root().join("docs/openapi.json");
    if fs::read_to_string(&path).unwrap_or_default() != wanted {
        let update = std::env::var_os("UPDATE").is_some();
        assert!(update, "docs/openapi.json is outdated: `UPDATE=1 cargo test --test tidy` writes it");
        fs::write(path, wanted).unwrap();
    }
}

#[test]
fn what_only_tests_need_builds_no_crate_of_the_programs_anew() {
    // Cargo joins the features that both ask for, and builds what has others twice: by turns, the programs too.
    let with_tests = features("normal,build,dev");
    let other: Vec<_> =
        features("normal,build").into_iter().filter(|built| !with_tests.contains(built)).collect();
    assert!(
        other.is_empty(),
        "tests build these with more features; ask for those in [dependencies], too: {other:?}"
    );
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    for (path, text) in sources("docs", "md").into_iter().chain(pages()) {
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = link.split('#').next().unwrap();
            let found =
                link.starts_with("http") || file.is_empty() || path.parent().unwrap().join(file).exists();
            assert!(found, "{} links to {link}, which is not there", path.display());
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with this extension, and their texts.
fn sources(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has files");
    found
}

/// The pages that stand at the top.
fn pages() -> impl Iterator<Item = (PathBuf, String)> {
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].into_iter().map(|name| {
        let path = root().join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        (path, text)
    })
}

/// What stands in a page between `<!-- NAME -->` and `<!-- end of NAME -->`.
/// What stands between two marks of a page is made from the code: `UPDATE=1 cargo test --test tidy` writes it.
fn expect_part(page: &str, name: &str, wanted: &str) {
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&format!("<!-- {name} -->\n")).expect("the mark where it begins");
    let (part, after) = rest.split_once(&format!("<!-- end of {name} -->")).expect("the mark where it ends");
    if part == wanted {
        return;
    }
    assert!(
        std::env::var_os("UPDATE").is_some(),
        "{page}, between the marks of `{name}`, should be:\n\n{wanted}"
    );
    fs::write(path, format!("{before}<!-- {name} -->\n{wanted}<!-- end of {name} -->{after}")).unwrap();
}

/// Each crate that is built for such dependencies, with its features.
fn features(kinds: &str) -> BTreeSet<String> {
    let tree = ["tree", "--locked", "--prefix=none", "--no-dedupe", "--format={p} {f}", "--edges", kinds];
    let output = Command::new(env!("CARGO")).args(tree).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn position(layer: &str) -> usize {
    LAYERS.iter().position(|name| *name == layer).unwrap_or_else(|| panic!("{layer} is not a layer"))
}

fn layer_of(path: &Path) -> Option<usize> {
    let top = path.strip_prefix(root().join("src")).unwrap().iter().next()?.to_str()?;
    LAYERS.iter().position(|name| *name == top.trim_end_matches(".rs"))
}

/// The layers that a line names as `crate::LAYER` or in `crate::{LAYER…, LAYER…}`.
fn layers_named_in(line: &str) -> impl Iterator<Item = &str> {
    let ours = line.split("crate::").skip(1);
    let names = ours.flat_map(|rest| match rest.strip_prefix('{') {
        Some(list) => list.split(", ").collect(),
        None => vec![rest],
    });
    names.filter_map(|name| {
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        LAYERS.contains(&&name[..end]).then(|| &name[..end])
    })
}

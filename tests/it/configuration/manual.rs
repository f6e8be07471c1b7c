//! The pages for man(1).

use std::fs;
use std::process::Command;

use loadbalancer::config::Flags;

use super::tools::printed;
use crate::support::Balancer;
use crate::support::pki::Folder;

#[test]
fn every_page_that_a_manual_page_names_is_written_to_the_folder() {
    let main = printed(&["man"]);
    assert!(main.contains(".TH loadbalancer 1"), "{main}");
    let folder = Folder::new();
    let pages = folder.path("pages");
    let man = || Balancer::bare().word("man").word(pages.to_str().unwrap());
    let (code, said) = man().fail();
    assert_eq!((code, said.ends_with("; name a folder that we may write to")), (Some(1), true), "{said}");
    fs::create_dir(&pages).unwrap();
    assert!(man().run().ended().success());
    let named = |page: &str| -> Vec<String> {
        let words = page.split_whitespace().filter_map(|word| word.trim_end_matches(',').strip_suffix("(1)"));
        words.map(|name| name.replace('\\', "")).filter(|name| name.starts_with("loadbalancer")).collect()
    };
    let (mut left, mut seen) = (named(&main), Vec::new());
    assert!(left.len() > 5, "{left:?}");
    while let Some(name) = left.pop() {
        if !seen.contains(&name) {
            let page = fs::read_to_string(pages.join(format!("{name}.1"))).expect(&name);
            left.extend(named(&page));
            seen.push(name);
        }
    }
    assert_eq!(fs::read_dir(&pages).unwrap().count(), seen.len(), "{seen:?}");
}

/// The lines of a section of a page.
fn section<'a>(page: &'a str, title: &str) -> Option<&'a str> {
    let title = if title.contains(' ') { format!("\"{title}\"") } else { title.to_owned() };
    let (_, rest) = page.split_once(&format!("\n.SH {title}\n"))?;
    Some(rest.split("\n.SH ").next().unwrap_or(rest))
}

/// The pages of all commands, by their names.
fn pages() -> Vec<(String, String)> {
    let folder = Folder::new();
    let words = ["man", folder.path("").to_str().unwrap()].map(str::to_owned);
    assert!(
        words.iter().fold(Balancer::bare(), |balancer, word| balancer.word(word)).run().ended().success()
    );
    let pages = fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: std::path::PathBuf| {
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
    };
    pages.map(named).collect()
}

#[test]
fn a_manual_page_says_what_the_environment_signals_and_exit_statuses_mean() {
    for (name, page) in pages() {
        let has =
            |title: &str| section(&page, title).unwrap_or_else(|| panic!("{name} has no {title}: {page}"));
        for status in ["0", "1", "2", "3", "130"] {
            assert!(has("EXIT STATUS").contains(&format!("\n\\fB{status}\\fR\n")), "{name}: {page}");
        }
        assert!(has("SEE ALSO").contains("(1)"), "{name}");
        let is_balancer = name == "loadbalancer" || name == "loadbalancer-demo";
        assert_eq!(section(&page, "SIGNALS").is_some(), is_balancer, "{name}");
    }
    let main = printed(&["man"]);
    for (title, wanted) in [
        ("ENVIRONMENT", "LOADBALANCER_HEALTH_PATH"),
        ("ENVIRONMENT", "NO_COLOR"),
        ("SIGNALS", "TERM, INT, QUIT"),
        ("SIGNALS", "HUP"),
        ("FILES", "conf.d"),
        ("EXAMPLES", "loadbalancer demo"),
        ("SEE ALSO", "loadbalancer\\-config\\-show(1)"),
    ] {
        assert!(section(&main, title).is_some_and(|text| text.contains(wanted)), "{title} {wanted}: {main}");
    }
}

#[test]
fn the_program_takes_each_example_of_its_manual_page() {
    let main = printed(&["man"]);
    let lines = section(&main, "EXAMPLES").expect("it has examples").lines();
    let examples = lines.filter_map(|line| line.strip_prefix("\\fB")?.strip_suffix("\\fR"));
    let mut count = 0;
    for example in examples.map(|example| example.replace('\\', "")) {
        let read = Flags::read(example.split(' ').map(Into::into));
        assert!(read.is_ok(), "{example}: {}", read.err().unwrap());
        count += 1;
    }
    assert!(count > 5, "{count}");
}

#[test]
fn manual_pages_are_set_without_a_warning_where_there_is_a_program_that_sets_them() {
    for (name, page) in pages() {
        let folder = Folder::new();
        let file = folder.write("page.1", &page);
        let set = Command::new("groff").args(["-man", "-Tutf8", "-ww"]).arg(file).output();
        // Not every machine has it.
        let Ok(set) = set else { return };
        assert!(
            set.status.success() && set.stderr.is_empty(),
            "{name}: {}",
            String::from_utf8_lossy(&set.stderr)
        );
    }
}

//! Settings in another format.

use std::fs;

use super::tools::{printed, run};
use super::{examples, folder_of_examples};
use crate::support::Balancer;
use crate::support::pki::Folder;

#[test]
fn a_file_is_converted_to_each_format_and_back() {
    let folder = folder_of_examples();
    for example in examples() {
        let name = example.file_name().unwrap().to_str().unwrap();
        let (toml, yaml, json, back) =
            (folder.path(name), folder.path("x.yaml"), folder.path("x.json"), folder.path("x.toml"));
        let convert = |from: &std::path::Path, into: &std::path::Path| {
            printed(&["config", "convert", from.to_str().unwrap(), into.to_str().unwrap()])
        };
        assert_eq!((convert(&toml, &yaml), convert(&yaml, &json), convert(&json, &back)), Default::default());
        let shown = |file: &std::path::Path| {
            let (code, said) = run(file, &["config", "show", "--effective", "--format", "json"]);
            assert_eq!(code, Some(0), "{said}");
            said
        };
        let first = shown(&toml);
        for file in [yaml, json, back] {
            assert_eq!(first, shown(&file), "{name}");
        }
    }
    let printed =
        printed(&["config", "convert", folder.path("minimal.toml").to_str().unwrap(), "--to", "yaml"]);
    assert!(
        printed.contains("pools:\n  app:\n    policy: round_robin\n    backends:\n      - 127.0.0.1:3000\n"),
        "{printed}"
    );
    let broken = folder.write("broken.toml", "a = [");
    let (code, said) = Balancer::bare()
        .word("config")
        .word("convert")
        .word(broken.to_str().unwrap())
        .word("--to=json")
        .fail();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("broken.toml:1:5"), "{said}");
}

#[test]
fn what_another_format_cannot_say_is_told_at_its_place_and_not_written() {
    let folder = Folder::new();
    for (name, text, to, place, message) in [
        ("a.yaml", "a: [1, null]\n", "toml", "1:8", "nothing in a list, for which TOML has no word"),
        ("a.yaml", "a:\n  b: 1\n  c:\n", "toml", "3:4", "nothing, for which TOML has no word"),
        ("a.yaml", "- a\n", "toml", "1:1", "expected a table, found a list"),
        ("a.yaml", "- a\n", "json", "1:1", "expected a table, found a list"),
        ("a.yaml", "text\n", "toml", "1:1", "expected a table, found text"),
        ("a.json", "3", "yaml", "1:1", "expected a table, found a number"),
        ("a.toml", "b = 1\na = 2024-01-01\n", "toml", "2:5", "a date, which no setting is"),
        ("a.toml", "a = 2024-01-01\n", "json", "1:5", "a date, which no setting is"),
        ("a.toml", "a = { b = [inf] }\n", "json", "1:12", "a number that no setting can be"),
        ("a.toml", "a = nan\n", "yaml", "1:5", "a number that no setting can be"),
    ] {
        let (file, out) = (folder.write(name, text), folder.path("out"));
        let words = ["config", "convert", file.to_str().unwrap(), out.to_str().unwrap(), "--to", to];
        let (code, said) = words.iter().fold(Balancer::bare(), |asked, word| asked.word(word)).fail();
        assert_eq!(code, Some(2), "{text}: {said}");
        assert!(said.starts_with(&format!("error: {message}\n --> ")), "{text}: {said}");
        assert!(said.contains(&format!("{name}:{place}\n")), "{text}: {said}");
        assert!(!out.exists(), "{text}");
    }
    let kept = folder.write("a.yaml", "a: [1, null]\nb: null\n");
    assert_eq!(
        printed(&["config", "convert", kept.to_str().unwrap(), "--to=json"]),
        "{\n  \"a\": [\n    1,\n    null\n  ],\n  \"b\": null\n}"
    );
}

#[test]
fn what_is_converted_may_come_and_go_by_standard_streams_and_a_name_that_tells_no_format_is_refused() {
    let folder = folder_of_examples();
    let file = folder.path("minimal.toml");
    let converted = |from: &str, into: &str, more: &str| {
        let words = ["config", "convert", from, into, more].into_iter().filter(|word| !word.is_empty());
        let named = |word: &str| match word {
            "minimal.toml" | "o.ini" => folder.path(word).to_str().unwrap().to_owned(),
            word => word.to_owned(),
        };
        words.fold(Balancer::bare(), |asked, word| asked.word(&named(word))).reading(&file).fail()
    };
    for from in ["-", "minimal.toml"] {
        let (code, said) = converted(from, "-", "--to=yaml");
        assert_eq!((code, said.starts_with("listeners:\n")), (Some(0), true), "{said}");
    }
    for into in ["o.ini", "-"] {
        let shown = if into == "-" { "-".to_owned() } else { folder.path(into).display().to_string() };
        let expected = format!(
            "loadbalancer: {shown}: its name tells no format; add --to FORMAT, or end it in .toml, .yaml, .yml or .json"
        );
        assert_eq!(converted("minimal.toml", into, ""), (Some(2), expected));
        assert!(!folder.path(into).exists() && !std::path::Path::new("-").exists());
    }
    assert_eq!(converted("minimal.toml", "o.ini", "--to=json").0, Some(0));
    assert!(folder.path("o.ini").exists());
}

#[test]
fn names_of_files_that_start_from_another_folder_now_are_told_of() {
    let (from, into) = (Folder::new(), Folder::new());
    let file = from.write("lb.toml", "access_log = \"-\"\n[pools.app]\ndiscover = [\"file:app.txt\"]\n");
    let said = |into: &std::path::Path| {
        let words = ["config", "convert", file.to_str().unwrap(), into.to_str().unwrap()];
        words.iter().fold(Balancer::bare(), |asked, word| asked.word(word)).fail()
    };
    assert_eq!(said(&from.path("lb.yaml")), (Some(0), String::new()));
    let other = into.path("lb.yaml");
    let told =
        format!("loadbalancer: {}: file:app.txt is looked for in its folder from now on", other.display());
    assert_eq!(said(&other), (Some(0), told));
}

#[test]
fn a_file_is_not_converted_into_itself() {
    let folder = folder_of_examples();
    let file = folder.path("minimal.toml");
    let text = fs::read_to_string(&file).unwrap();
    let other = folder.path("link.yaml");
    std::os::unix::fs::symlink(&file, &other).unwrap();
    for into in [&file, &other] {
        let (from, into) = (file.to_str().unwrap(), into.to_str().unwrap());
        let (code, said) = Balancer::bare().word("config").word("convert").word(from).word(into).fail();
        let expected = format!(
            "loadbalancer: {into}: is the file to read; name another one, or none for standard output"
        );
        assert_eq!((code, said), (Some(2), expected));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_file_is_converted_that_an_editor_began_with_a_mark() {
    let folder = Folder::new();
    let file = folder.write("lb.json", "\u{feff}{\"workers\": 2}");
    assert_eq!(printed(&["config", "convert", file.to_str().unwrap(), "--to=toml"]), "workers = 2");
}

//! Files that are no settings at all.

use std::fs::File;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use super::START;
use crate::support::Balancer;
use crate::support::pki::Folder;

/// What is said of a file with these bytes, by a program that does not start for they make no sense.
fn said_of(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let (code, said) = ended_with(name, bytes);
    assert_eq!(code, Some(2), "{said}");
    said
}

/// The exit status of a program that does not start with a file with these bytes, and what it says of it.
fn ended_with(name: &str, bytes: impl AsRef<[u8]>) -> (Option<i32>, String) {
    let folder = Folder::new();
    Balancer::configured(&folder.write(name, bytes)).fail()
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = Folder::new();
    let (code, said) = Balancer::configured(&folder.path("lb.toml")).fail();
    let expected = "loadbalancer: lb.toml: cannot be read: No such file or directory (os error 2); name a file or a folder that we may read";
    assert_eq!((code, said.as_str()), (Some(1), expected));
}

#[test]
fn whoever_reads_settings_ends_with_1_if_they_cannot_be_read_and_with_2_if_they_make_no_sense() {
    let folder = Folder::new();
    let (nowhere, bytes, wrong) = (
        folder.path("nowhere.toml"),
        folder.write("bytes.toml", b"\xff"),
        folder.write("wrong.toml", "a = ["),
    );
    let commands =
        [&[][..], &["validate"], &["validate", "--json"], &["config", "show"], &["status"], &["reload"]];
    for (file, wanted) in [(&nowhere, 1), (&bytes, 1), (&wrong, 2)] {
        for words in commands {
            let balancer =
                words.iter().fold(Balancer::configured(file), |balancer, word| balancer.word(word));
            let (code, said) = balancer.fail();
            assert_eq!(code, Some(wanted), "{words:?}: {said}");
        }
        let convert = ["config", "convert", file.to_str().unwrap(), "--to=json"];
        let (code, said) = convert.iter().fold(Balancer::bare(), |asked, word| asked.word(word)).fail();
        assert_eq!(code, Some(wanted), "{said}");
    }
    let (code, said) = Balancer::bare().word("plan").word(nowhere.to_str().unwrap()).fail();
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn a_file_of_100_megabytes_is_refused_without_being_read_to_its_end() {
    let folder = Folder::new();
    let path = folder.path("lb.toml");
    File::create(&path).unwrap().set_len(100_000_000).unwrap();
    let (code, said) = Balancer::configured(&path).fail();
    let expected = "loadbalancer: lb.toml: larger than 16 MiB, which no settings are; name another file";
    assert_eq!((code, said.as_str()), (Some(1), expected));
    let convert = ["config", "convert", path.to_str().unwrap(), "--to=json"];
    let (code, said) = convert.iter().fold(Balancer::bare(), |asked, word| asked.word(word)).fail();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.ends_with("lb.toml: larger than 16 MiB, which no settings are; name another file"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_its_place() {
    let expected = "error: byte 0xff is not UTF-8
 --> lb.toml:2:16
  |
2 | access_log = \"é\u{fffd}\"
  |                ^
  |
  = help: save it as UTF-8";
    let (code, said) = ended_with("lb.toml", b"workers = 1\naccess_log = \"\xc3\xa9\xff\"\n");
    assert_eq!((code, said.as_str()), (Some(1), expected));
    let (_, said) = ended_with("lb.json", b"{\"workers\": \xe6}");
    assert!(said.contains(" --> lb.json:1:13\n"), "{said}");
}

#[test]
fn what_cannot_be_read_hides_nothing_of_other_files_and_nothing_follows_from_it() {
    let folder = Folder::new();
    folder.write("a.toml", "[routes.a]\npool = \"elsewhere\"\npth = \"/\"\n");
    folder.write("b.toml", b"[pools.elsewhere]\n\xff");
    folder.write("c.toml", "[pools.app]\nbackends = [\"x\"]\n");
    std::os::unix::fs::symlink(folder.path("nowhere"), folder.path("d.toml")).unwrap();
    let (code, said) = Balancer::bare().flag("--config", folder.path("").to_str().unwrap()).fail();
    assert_eq!(code, Some(1), "{said}");
    let said = said.replace(folder.path("").to_str().unwrap(), "");
    let place = |line: &str| line.trim_start().strip_prefix("--> ").map(str::to_owned);
    let places: Vec<_> = said.lines().filter_map(place).collect();
    assert_eq!(places, ["a.toml:3:1", "b.toml:2:1", "c.toml:2:13"], "{said}");
    assert!(said.ends_with("d.toml: cannot be read: No such file or directory (os error 2); name a file or a folder that we may read"), "{said}");
}

#[test]
fn a_file_that_was_written_half_is_refused_with_each_place() {
    let whole = format!("{START}[pools.app]\nbackends = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n");
    let half = &whole[..whole.len() - 10];
    let expected = "error: invalid basic string, expected `\"`
 --> lb.toml:7:33
  |
7 | backends = [\"127.0.0.1:1\", \"127.
  |                                 ^";
    assert_eq!(said_of("lb.toml", half), expected);
}

#[test]
fn yaml_that_is_none_is_refused_with_its_place() {
    let said = said_of("lb.yaml", "workers: 1\npools:\n  app: [\n");
    assert!(said.starts_with("error: ") && said.contains("lb.yaml:"), "{said}");
    let said = said_of("lb.yaml", "workers: 1\nworkers: 2\n");
    assert!(
        said.starts_with(
            "error: duplicate key `workers`, which is at lb.yaml:1:1 already\n --> lb.yaml:2:1\n"
        ),
        "{said}"
    );
    let said = said_of("lb.yaml", "workers: !!str 1\n");
    assert!(said.starts_with("error: has a tag, which no setting needs\n"), "{said}");
    let said =
        said_of("lb.yaml", "pools:\n  a: { backends: !env [127.0.0.1:1] }\n  b: !include { backends: [] }\n");
    assert_eq!(said.matches("error: has a tag, which no setting needs\n").count(), 2, "{said}");
    let said = said_of("lb.yaml", "workers: 1\n---\nworkers: 1\n");
    assert!(said.starts_with("error: a second document\n"), "{said}");
}

#[test]
fn who_indents_yaml_with_tabs_or_writes_comments_into_json_is_told_what_to_write() {
    for text in ["pools:\n\tapp: 1\n", "pools:\n  app:\n\tpolicy: first\n", "pools:\n  app: 1\n\tweb: 1\n"] {
        let said = said_of("lb.yaml", text);
        assert!(said.contains(" tab") && said.ends_with("= help: indent with spaces"), "{said}");
    }
    let help = "= help: JSON has none: remove it, or write TOML or YAML";
    for (text, place) in [
        ("{ // c\n\"workers\": 1 }", "1:3"),
        ("{ \"workers\": /* c */ 1 }", "1:14"),
        ("{ \"workers\": 1 # c\n}", "1:16"),
        ("{ \"workers\": 1, // c\n\"watch\": true }", "1:17"),
        ("{ \"workers\": 1, \"pools\": { }, }\n// c\n", "2:1"),
    ] {
        let said = said_of("lb.json", text);
        assert!(
            said.contains("error: a comment\n") && said.contains(&format!("lb.json:{place}\n")),
            "{said}"
        );
        assert!(said.ends_with(help), "{said}");
    }
    let said = said_of("lb.json", "{ \"\\#\": 1 }");
    assert!(said.starts_with("error: invalid escape\n"), "{said}");
}

#[test]
fn json_that_says_no_text_or_no_number_is_refused_with_its_place() {
    for (text, place, why) in [
        ("{\"log_level\": \"info\\ud83d\"}", "1:15", "unexpected end of hex escape"),
        ("{\"pools\": {\"\\udead\": {}}}", "1:12", "lone leading surrogate in hex escape"),
        ("{\"workers\": 1e999}", "1:13", "number out of range"),
        ("{\"limits\": {\"body_size\": -1e999,}}", "1:26", "number out of range"),
    ] {
        let said = said_of("lb.json", text);
        assert!(said.contains(&format!("error: {why}\n --> lb.json:{place}\n")), "{text}: {said}");
    }
}

#[test]
fn yaml_whose_aliases_stand_for_billions_is_refused_at_once() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, last) in ('b'..='l').zip('a'..) {
        let ten = vec![format!("*{last}"); 10].join(", ");
        bomb += &format!("{name}: &{name} [{ten}]\n");
    }
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1 << 15));
    for bomb in [bomb, long] {
        let said = said_of("lb.yaml", bomb);
        assert!(said.contains(": aliases stand for more settings than anybody writes"), "{said}");
        assert!(said.len() < 1000, "{said}");
    }
}

#[test]
fn settings_without_end_in_each_other_are_refused_in_each_format() {
    let many = |text: &str| text.repeat(100_000);
    for (name, text) in [
        ("lb.toml", format!("a = {}{}", many("["), many("]"))),
        ("lb.toml", format!("a = {}1{}", many("{ a = "), many("}"))),
        ("lb.toml", format!("{}a = 1", many("a."))),
        ("lb.toml", format!("[{}a]", many("a."))),
        ("lb.yaml", format!("a: {}{}", many("["), many("]"))),
        ("lb.yaml", format!("a: {}1{}", many("{ a: "), many("}"))),
        ("lb.yaml", format!("{}a", many("- "))),
        ("lb.json", format!("{{\"a\": {}{}}}", many("["), many("]"))),
        ("lb.json", format!("{}1{}", many("{\"a\": "), many("}"))),
    ] {
        let said = said_of(name, text);
        assert!(said.contains("too deep: no setting needs so many tables in each other"), "{name}: {said}");
        assert!(said.len() < 1000, "{said}");
    }
}

#[test]
fn more_values_than_any_settings_need_are_refused_in_each_format_before_they_take_memory() {
    let most = 200_000;
    for (name, begin, one, end) in [
        ("lb.toml", "a = [", "1,", "]"),
        ("lb.toml", "", "", "\n"),
        ("lb.yaml", "a: [", "[],", "]"),
        ("lb.json", "{\"a\": [", "[],", "1]}"),
    ] {
        let of = |values: usize| match one {
            "" => (0..values).map(|number| format!("x{number} = 1\n")).collect(),
            one => format!("{begin}{}{end}", one.repeat(values)),
        };
        let said = said_of(name, of(most + 1));
        assert!(
            said.contains(&format!("too many values: no settings need more than {most}")),
            "{name}: {said}"
        );
        assert!(said.contains(&format!("{name}:")), "{name}: {said}");
        assert!(said.contains("name backends in a file that a pool discovers"), "{name}: {said}");
        let said = said_of(name, of(most - 3));
        assert!(said.contains("unknown key") && !said.contains("too many values"), "{name}: {said}");
    }
    // Aliases are kept for what may never ask for them.
    let anchors: String = (0..20).map(|number| format!("&a{number} [")).collect();
    let said = said_of("lb.yaml", format!("a: {anchors}{}{}", "1,".repeat(most / 10), "]".repeat(20)));
    assert!(said.contains("too many values"), "{said}");
    // What is no value takes memory, too.
    let said = said_of("lb.toml", "\n".repeat(4 << 20) + "a = 1\n");
    assert!(said.contains("too many values"), "{said}");
}

#[test]
fn what_is_no_file_is_named_and_nobody_waits_for_it() {
    let folder = Folder::new();
    let pipe = folder.path("pipe.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("there is a command").success());
    let socket = folder.path("socket.toml");
    let _listener = UnixListener::bind(&socket).unwrap();
    for (path, what) in [(&*pipe, "pipe"), (&*socket, "socket"), (Path::new("/dev/zero"), "device")] {
        let path = path.to_str().unwrap();
        let (code, said) = Balancer::bare().flag("--config", path).word("validate").fail();
        let expected =
            format!("loadbalancer: {path}: cannot be read: it is a {what}, not a file; name a file");
        assert!(code == Some(1) && said.starts_with(&expected), "{code:?}: {said}");
    }
    let (pipe, flags) = (pipe.to_str().unwrap(), ["--tls-cert", "--tls-key"]);
    let balancer = flags.iter().fold(Balancer::bare(), |balancer, flag| balancer.flag(flag, pipe));
    let (code, said) = balancer.flag("--tls-listen", "127.0.0.1:0").fail();
    assert_eq!((code, said.matches("it is a pipe, not a file").count()), (Some(2), 2), "{said}");
    let secret =
        format!("[pools.a]\nbackends = ['[::1]:1']\nsticky = {{ cookie = 'lb', secret_file = '{pipe}' }}\n");
    let said = said_of("lb.toml", secret);
    assert!(said.contains("cannot be read: it is a pipe, not a file"), "{said}");
}

#[test]
fn a_mark_of_utf_8_at_the_beginning_is_no_part_of_the_settings() {
    for (name, text, place) in [
        ("lb.toml", "\u{feff}workers = 'x'", "1:11"),
        ("lb.yaml", "\u{feff}workers: x", "1:10"),
        ("lb.json", "\u{feff}{\"workers\": \"x\"}", ""),
    ] {
        let said = said_of(name, text);
        assert!(said.contains("x: expected a whole number, found text"), "{said}");
        assert!(place.is_empty() || said.contains(&format!("{name}:{place}\n")), "{said}");
    }
}

#[test]
fn long_lines_and_values_are_drawn_short_and_control_characters_by_their_names() {
    let addresses: String = (1..20_000).map(|number| format!("\"[::1]:{number}\", ")).collect();
    let (x, tabs) = ("x".repeat(1_000_000), "\t".repeat(100_000));
    for (text, told) in [
        (format!("[pools.a]\nbackends = [{addresses}\"x\"]"), "x: not an address"),
        (format!("log_level = \"{x}\""), "…: not one of error, warn, info"),
        (format!("log_level = \"{x}"), "invalid basic string, expected"),
        (format!("{x} = 1"), "…: unknown key"),
        (format!("{tabs}workers = 'y'{tabs}"), "y: expected a whole number"),
        ("log_level = \"\\u001b[31m\\n\\u202e\"".to_owned(), "\\u{1b}[31m\\n\\u{202e}: not one of"),
    ] {
        let said = said_of("lb.toml", text);
        assert!(said.contains(told), "{told}: {}", &said[..said.len().min(2000)]);
        let longest = said.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest < 600, "{told}: a line has {longest} characters");
    }
}

#[test]
fn the_mark_stands_below_what_is_wrong_behind_tabs_and_wide_characters() {
    let text = "[pools.\"日本\"]\n\tbackends\t= [\"[::1]:1\",\t\"日本:x\"] # 日本\n";
    let expected = "error: 日本:x: has letters beyond ASCII
 --> lb.toml:2:25
  |
2 |     backends    = [\"[::1]:1\",    \"日本:x\"] # 日本
  |                                  ^^^^^^^^ pools.\"日本\".backends[1]
  |
  = help: write the name in punycode: xn--...";
    assert_eq!(said_of("lb.toml", text), expected);
}

#[test]
fn a_file_with_nothing_in_it_is_refused_at_the_start_as_at_a_reload() {
    let folder = Folder::new();
    for (name, text) in
        [("lb.toml", ""), ("lb.toml", " \n\n"), ("lb.yaml", "null\n"), ("lb.yaml", ""), ("lb.json", "")]
            .into_iter()
            .chain(["---\n", "---\n...\n", "--- ~", "%YAML 1.2\n---\nnull\n"].map(|text| ("lb.yaml", text)))
    {
        let file = folder.write(name, text);
        let meant = if name == "lb.json" { "{}" } else { "a remark into it, such as `# the defaults`" };
        let expected = format!(
            "loadbalancer: {name}: has nothing in it, as a file that is being written; if that is meant, write {meant}"
        );
        for words in [&["validate"][..], &["config", "show"], &[]] {
            let balancer =
                words.iter().fold(Balancer::configured(&file), |balancer, word| balancer.word(word));
            assert_eq!(balancer.fail(), (Some(2), expected.clone()), "{words:?} {name} {text:?}");
        }
    }
    let empty = folder.write("empty", "");
    for words in [&["validate", "--config", "-"][..], &["plan", "-"]] {
        let (code, said) =
            words.iter().fold(Balancer::bare(), |asked, word| asked.word(word)).reading(&empty).fail();
        let expected = "loadbalancer: standard input: has nothing in it; if that is meant, write a remark into it, such as `# the defaults`";
        assert_eq!((code.is_some_and(|code| code > 0), said.as_str()), (true, expected));
    }
    for (name, text) in [
        ("lb.toml", "# the defaults\n"),
        ("lb.json", "{}"),
        ("lb.yaml", "{}"),
        ("lb.yaml", "# the defaults\n"),
        ("lb.yaml", "--- # the defaults\n"),
    ] {
        let (code, said) = Balancer::configured(&folder.write(name, text)).word("validate").fail();
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn a_file_of_another_format_than_its_name_says_is_told_so_once() {
    let folder = Folder::new();
    let toml = "workers = 2\n[pools.a]\nbackends = [\"127.0.0.1:1\"]\n";
    let yaml = "workers: 2\npools:\n  a:\n    backends: [\"127.0.0.1:1\"]\n";
    let json = "{\"pools\": {\"a\": {\"backends\": [\"127.0.0.1:1\"]}}}";
    for (name, text, help) in [
        ("lb.yaml", toml, "this is TOML: name it .toml"),
        ("lb.json", toml, "this is TOML: name it .toml"),
        ("lb.toml", yaml, "this is YAML: name it .yaml"),
        ("lb.json", yaml, "this is YAML: name it .yaml"),
        ("lb.toml", json, "this is JSON: name it .json"),
    ] {
        let (code, said) = Balancer::configured(&folder.write(name, text)).word("validate").fail();
        assert_eq!((code, said.matches("error: ").count()), (Some(2), 1), "{said}");
        assert!(said.ends_with(&format!("= help: {help}")), "{said}");
    }
    let piped = folder.write("piped", yaml);
    for words in [&["validate", "--config", "-"][..], &["config", "convert", "-", "--to=json"]] {
        let (_, said) =
            words.iter().fold(Balancer::bare(), |asked, word| asked.word(word)).reading(&piped).fail();
        assert!(said.contains("\n --> standard input:1:"), "{said}");
        let help = "this is YAML, and only TOML is read here: put it into a file that is named .yaml";
        assert!(said.ends_with(&format!("= help: {help}")), "{said}");
    }
    let (_, said) = Balancer::configured(&folder.write("lb.toml", "x: 1\ny = [")).word("validate").fail();
    assert!(!said.contains("this is"), "{said}");
}

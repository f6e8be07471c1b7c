//! Settings of many thousand routes and pools, as one has who serves as many customers.

use std::fmt::Write;

use super::tools::run;
use crate::support::pki::Folder;

#[test]
fn settings_that_have_more_values_with_all_defaults_than_a_file_may_have_are_shown() {
    let (folder, count) = (Folder::new(), 16_500);
    let pools = (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "pools.p{number}.backends = [\"127.0.0.1:1\"]");
        text
    });
    let file = folder.write("lb.toml", format!("{pools}[routes.all]\npool = \"p0\"\n"));
    let (code, said) = run(&file, &["config", "show", "--effective", "--format=json"]);
    assert_eq!(code, Some(0), "{}", said.lines().next().unwrap_or_default());
    assert_eq!(said.matches("\"statuses\"").count(), count);
}

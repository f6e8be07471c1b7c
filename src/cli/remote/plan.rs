//! What a change would do, a line for each part of it.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use crate::config::{Problems, STDIN, name_of, refuse_nothing};
use crate::control::api::{Kind, Plan, Problem, ProblemKind};

use super::RemoteError;

/// The settings to plan.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, RemoteError> {
    if file.is_dir() {
        return Err(RemoteError::Folder(file.display().to_string()));
    }
    let text = match file.as_os_str() == STDIN {
        true => {
            let mut text = Vec::new();
            io::stdin().lock().read_to_end(&mut text).map(|_| text)
        }
        false => fs::read(file),
    };
    let text = text.map_err(|error| RemoteError::File { path: file.display().to_string(), error })?;
    // Who is asked would speak of a body.
    refuse_nothing(&name_of(file), &text).map_err(|problems| senseless(&problems))?;
    Ok(text)
}

/// What is wrong with these settings, where they are here: who was asked does not know what their file is called.
pub(super) fn at_home(error: RemoteError, file: &Path, text: &[u8]) -> RemoteError {
    let RemoteError::Refused(mut problem, None) = error else { return error };
    let name = name_of(file);
    for error in problem.errors.iter_mut().filter(|error| error.flag.is_none()) {
        error.file.get_or_insert_with(|| name.clone());
    }
    RemoteError::Refused(problem, Some(String::from_utf8_lossy(text).into_owned()))
}

/// What the balancer says of such settings.
fn senseless(problems: &Problems) -> RemoteError {
    let problem = Problem {
        kind: ProblemKind::Settings,
        title: "the settings make no sense".to_owned(),
        status: 422,
        detail: problems.to_string(),
        errors: problems.all().to_vec(),
        more: problems.has_more(),
    };
    RemoteError::Refused(Box::new(problem), None)
}

/// The page.
pub(super) fn page(plan: &Plan) -> String {
    let remarks: String = plan.remarks.iter().map(|remark| format!("{remark}\n")).collect();
    if !plan.changes {
        return format!("nothing would change\n{remarks}");
    }
    let mut page = String::new();
    for difference in &plan.differences {
        let (sign, values) = match (difference.kind, &difference.before, &difference.after) {
            (Kind::Add, _, Some(after)) => ("+", format!(" = {after}")),
            (Kind::Remove, Some(before), _) => ("-", format!(" = {before}")),
            (Kind::Add, ..) => ("+", String::new()),
            (Kind::Remove, ..) => ("-", String::new()),
            (Kind::File, ..) => ("~", ": the file says something else".to_owned()),
            (Kind::Change, before, after) => ("~", format!(": {} -> {}", shown(before), shown(after))),
        };
        page += &format!("{sign} {}{values}\n", difference.what);
    }
    page += &remarks;
    for moved in &plan.moved {
        page += &match moved.other_key {
            true => format!(
                "pool {}: hashes by something else, so that all clients may go to another backend\n",
                moved.pool
            ),
            false => {
                format!(
                    "pool {}: {:.1} % of the keys would go to another backend\n",
                    moved.pool, moved.percent
                )
            }
        };
    }
    let requests = &plan.requests;
    let (elsewhere, all) = (requests.elsewhere, requests.looked_at);
    page += &format!(
        "\nof the last {all} requests {elsewhere} would go elsewhere by their routes, pools and targets\n"
    );
    for example in &requests.examples {
        page += &format!(
            "  {} from {} to {}, such as {}\n",
            example.count, example.from, example.to, example.example
        );
    }
    page
}

fn shown(value: &Option<Value>) -> String {
    value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

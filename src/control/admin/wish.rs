//! How a change is to be made, as its request says.

use std::time::Duration;

use hyper::Request;

use crate::config::{CONFIRM_TIMES, parse_duration};

use super::refused::Refused;
use super::resource::Resource;

/// How a change is to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// It is only to be found out whether it could be done.
    pub(super) dry_run: bool,
    /// It is to be watched for so long, and taken back if things get worse.
    pub(super) confirm: Option<Duration>,
}

impl Wish {
    /// What the query says. Unknown parameters are refused: one that is misspelt would put settings in force.
    pub(super) fn of<B>(request: &Request<B>, resource: &Resource) -> Result<Self, Refused> {
        let known = resource.parameters(request.method());
        let mut wish = Self::default();
        let query = request.uri().query().unwrap_or_default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                name if !known.contains(&name) => {
                    return Err(Refused::Parameter { name: name.to_owned(), known });
                }
                "confirm" => wish.confirm = Some(confirm(value)?),
                _ => wish.dry_run = dry_run(value)?,
            }
        }
        Ok(wish)
    }
}

fn dry_run(value: &str) -> Result<bool, Refused> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err(Refused::DryRun(other.to_owned())),
    }
}

fn confirm(value: &str) -> Result<Duration, Refused> {
    let refused = || Refused::Confirm(value.to_owned());
    let time = parse_duration(value).map_err(|_| refused())?;
    if CONFIRM_TIMES.contains(&time) { Ok(time) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_asked_for_by_one_parameter_and_a_misspelt_one_is_refused() {
        let asked = |query: &str| {
            let request = Request::post(format!("/api/v1/config{query}")).body(()).unwrap();
            Wish::of(&request, &Resource::Config).map(|wish| wish.dry_run)
        };
        assert_eq!((asked("").ok(), asked("?dry_run=1").ok()), (Some(false), Some(true)));
        assert!(matches!(asked("?dryrun=1"), Err(Refused::Parameter { .. })));
        assert!(matches!(asked("?dry_run"), Err(Refused::DryRun(_))));
        for wrong in ["60", "0s", "2h", ""] {
            assert!(matches!(asked(&format!("?confirm={wrong}")), Err(Refused::Confirm(_))), "{wrong}");
        }
        assert_eq!(asked("?confirm=60s").ok(), Some(false));
    }
}

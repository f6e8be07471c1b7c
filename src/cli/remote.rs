//! What is asked of a balancer that runs, through its admin API.

mod caller;
mod follow;
mod meant;
mod plan;
mod status;

use std::fmt::Write;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Builder;

use crate::backends::Hold;
use crate::config::{
    self, Address, BackendUrl, Flags, Form, Format, NewWeight, PlaceError, Problems, Remote, Target,
};
use crate::control::api::{
    Applied, Backend, BackendList, BackendPatch, BackendState, Change, Confirmation, Overview, Plan, Pool,
    PoolList, Problem,
};

use caller::{Caller, Wish};
use follow::{Fate, Leave};
use meant::instead;

use super::exit::{FAILED, OTHERWISE, USAGE};
use super::{READABLE, print, refuse, say};

/// Why it did not do what was asked.
#[derive(Debug, thiserror::Error)]
enum RemoteError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("{path}: the token of the admin API cannot be read: {error}; {READABLE}")]
    TokenFile { path: String, error: io::Error },
    #[error("{path}: cannot be read: {error}; {READABLE}")]
    File { path: String, error: io::Error },
    #[error(
        "{0} is a folder; plan all that is in it: loadbalancer config show --config {0} | loadbalancer plan -"
    )]
    Folder(String),
    #[error("{0}: not a token of the admin API; it should be one line of printable characters")]
    Token(String),
    #[error(
        "nobody listens on {address}: {}; start the balancer with --config FILE or --admin {address}, or say with --admin or --config where it listens", why(.address, .error)
    )]
    Nobody { address: Address, error: io::Error },
    #[error("{address}: permission denied; call it as root, or as the user that the balancer runs as", address = .0)]
    Denied(Address),
    #[error(
        "{address}: waited {time:?} for {missing}, and none came; see whether the process there is stopped (`ps` shows T), busy \
         or out of reach, and ask again"
    )]
    Slow { address: Address, missing: &'static str, time: Duration },
    #[error("{address}: the connection broke off: {error}")]
    Broken { address: Address, error: hyper::Error },
    #[error("{0}; what was asked for may still be done: look at its log, or at `loadbalancer status`")]
    Unsure(Box<RemoteError>),
    #[error("{0} does not answer as a balancer's admin API does; say with --admin where that is")]
    Stranger(Address),
    #[error("{}", .0.detail)]
    Refused(Box<Problem>, Option<String>),
    #[error("there is no backend {wanted}; {}", instead(.wanted, .known))]
    NoBackend { wanted: String, known: Vec<String> },
    #[error("{wanted} is in several pools; write one of: {}", .known.join(", "))]
    Ambiguous { wanted: String, known: Vec<String> },
    #[error("what comes of the change cannot be followed any more; a balancer that goes on watches it all the same: {}", .0.without_help())]
    LostSight(Box<RemoteError>),
    #[error("the system gives no event queue: {0}")]
    System(io::Error),
}

/// What `status --json` says.
#[derive(Serialize)]
struct Status<'a> {
    overview: &'a Overview,
    pools: &'a [Pool],
    confirmation: &'a Confirmation,
}

/// What `reload --confirm --json` says once it is known what came of the change.
#[derive(Serialize)]
struct Followed<'a> {
    #[serde(flatten)]
    applied: &'a Applied,
    /// The last that was heard of it, if anything was.
    confirmation: Option<Confirmation>,
}

/// What came of a question.
#[derive(Default)]
struct Told {
    /// For standard output.
    text: String,
    /// For standard error, if all is not well.
    complaint: Option<String>,
    /// The exit status, unless it was done as asked.
    code: Option<u8>,
}

impl From<String> for Told {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

/// Asks a balancer that runs, and says what came of it.
pub(super) fn run(remote: &Remote, flags: &Flags) -> ExitCode {
    let asked = || {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(RemoteError::System)?;
        let caller = Caller::of(flags)?;
        runtime.block_on(ask(remote, &caller))
    };
    match asked() {
        Ok(Told { text, complaint, code }) => {
            let printed = print(&text);
            complaint.into_iter().for_each(say);
            code.map_or(printed, ExitCode::from)
        }
        Err(RemoteError::Refused(problem, text)) => {
            refused(&problem, text.as_deref(), remote);
            ExitCode::from(FAILED)
        }
        Err(RemoteError::Place(PlaceError::Settings(problems))) => refuse(&problems),
        Err(error) => {
            for line in error.to_string().lines() {
                say(line);
            }
            ExitCode::from(if matches!(error, RemoteError::Place(_)) { USAGE } else { FAILED })
        }
    }
}

/// Says why not: of settings, all that is wrong with them, as `validate` does. `text` is theirs, if it was sent.
fn refused(problem: &Problem, text: Option<&str>, remote: &Remote) {
    if remote.form().json {
        print(&json(problem));
        return;
    }
    let text_of = |problem: &config::Problem| match text {
        Some(text) => Some(text.to_owned()),
        None => fs::read_to_string(problem.file.as_ref()?).ok(),
    };
    match Problems::again(problem.errors.clone(), problem.more, text_of) {
        Some(problems) => drop(refuse(&problems)),
        None => say(&problem.detail),
    }
}

impl RemoteError {
    /// In words, for who knows that a balancer runs.
    fn without_help(&self) -> String {
        match self {
            Self::Nobody { address, error } => {
                format!("nobody listens on {address} any more: {}", why(address, error))
            }
            other => other.to_string(),
        }
    }
}

/// Why nobody is there.
fn why(address: &Address, error: &io::Error) -> String {
    match (address, error.kind()) {
        (Address::Unix(_), io::ErrorKind::NotFound) => "there is no socket at that path".to_owned(),
        (_, kind) => kind.to_string(),
    }
}

/// What came of it.
async fn ask(remote: &Remote, caller: &Caller) -> Result<Told, RemoteError> {
    let hold = |hold| BackendPatch { hold: Some(hold), weight: None };
    let text = match remote {
        Remote::Status(form) => caller.in_time(status(caller, *form)).await,
        Remote::Drain(target) => patch(caller, target, hold(Some(Hold::Drain))).await,
        Remote::Disable(target) => patch(caller, target, hold(Some(Hold::Disable))).await,
        Remote::Enable(target) => patch(caller, target, hold(None)).await,
        Remote::Weight { target, weight: NewWeight(weight) } => {
            patch(caller, target, BackendPatch { hold: None, weight: Some(*weight) }).await
        }
        Remote::Plan { file, exit_code, form } => return plan(caller, file, *exit_code, *form).await,
        Remote::Reload { confirm, no_wait, dry_run, form } => {
            let applied = reload(caller, *confirm, *dry_run).await?;
            return match confirm.filter(|_| applied.watched && !no_wait) {
                Some(lasts) => follow(caller, &applied, lasts, *form).await,
                None if form.json => Ok(json(&applied).into()),
                None => Ok(in_words(&applied, *confirm).into()),
            };
        }
    };
    Ok(text?.into())
}

async fn status(caller: &Caller, form: Form) -> Result<String, RemoteError> {
    let overview: Overview = caller.get("/api/v1/overview").await?;
    let PoolList { pools } = caller.get("/api/v1/pools").await?;
    let confirmation: Confirmation = caller.get("/api/v1/confirmation").await?;
    if form.json {
        return Ok(json(&Status { overview: &overview, pools: &pools, confirmation: &confirmation }));
    }
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let BackendList { backends } = caller.get("/api/v1/backends").await?;
    Ok(status::page(&overview, &pools, &backends, &confirmation, (caller.now(), colour)))
}

async fn patch(caller: &Caller, target: &Target, patch: BackendPatch) -> Result<String, RemoteError> {
    let BackendList { backends } = caller.get("/api/v1/backends").await?;
    let known = find(&backends, &target.backend)?;
    let after: Backend = caller.patch(&known.pool, &known.address, &patch).await?;
    if target.form.json {
        return Ok(json(&after));
    }
    let mut text = format!("{}/{} is {}: {}", after.pool, after.address, after.state, after.why);
    if patch.weight.is_some() {
        text = format!("{}/{} has weight {}", after.pool, after.address, status::weight(&after));
    }
    if after.in_flight > 0 && after.hold.is_some() {
        // A String takes all that is written.
        let _ = write!(text, "; requests under way: {}", after.in_flight);
    }
    text.push('\n');
    // The pool of a backend that is leaving may be gone.
    if let Ok(pool) = caller.pool::<Pool>(&after.pool).await
        && pool.usable == 0
    {
        text += &(status::empty(&pool) + "\n");
    }
    Ok(text)
}

/// A backend by POOL/ADDRESS, or by its address alone.
fn find<'a>(backends: &'a [Backend], wanted: &str) -> Result<&'a Backend, RemoteError> {
    let wanted = BackendUrl::without_the_usual(wanted);
    let name = |backend: &Backend| format!("{}/{}", backend.pool, backend.address);
    let matches = |backend: &&Backend| name(backend) == wanted || backend.address == wanted;
    let mut found: Vec<_> = backends.iter().filter(matches).collect();
    // A name that leads elsewhere is two backends until the requests of the one that leaves have ended.
    let stays = |backend: &&Backend| backend.state != BackendState::Leaving;
    if found.iter().any(stays) {
        found.retain(stays);
    }
    match found[..] {
        [backend] => Ok(backend),
        [] => Err(RemoteError::NoBackend { wanted, known: backends.iter().map(name).collect() }),
        _ => Err(RemoteError::Ambiguous { wanted, known: found.into_iter().map(name).collect() }),
    }
}

async fn plan(caller: &Caller, file: &Path, exit_code: bool, form: Form) -> Result<Told, RemoteError> {
    let text = plan::read(file)?;
    let planned = caller.post_settings("/api/v1/plan", Format::of(file), text.clone()).await;
    let plan: Plan = planned.map_err(|error| plan::at_home(error, file, &text))?;
    let text = if form.json { json(&plan) } else { plan::page(&plan) };
    Ok(Told { code: (exit_code && plan.changes).then_some(OTHERWISE), ..text.into() })
}

async fn reload(caller: &Caller, confirm: Option<Duration>, dry_run: bool) -> Result<Applied, RemoteError> {
    let query = match confirm {
        Some(time) => format!("?confirm={}ms", time.as_millis()),
        None if dry_run => "?dry_run=1".to_owned(),
        None => String::new(),
    };
    let wish = if dry_run { Wish::Look } else { Wish::Change };
    caller.post(&format!("/api/v1/reload{query}"), wish).await
}

fn in_words(applied: &Applied, confirm: Option<Duration>) -> String {
    let mut text = match (applied.result, applied.dry_run) {
        (Change::Unchanged, false) if confirm.is_some() => {
            "nothing has changed, and nothing is watched\n".to_owned()
        }
        (Change::Unchanged, _) => "nothing has changed\n".to_owned(),
        (Change::Changed, true) => "it can be done; nothing was put in force\n".to_owned(),
        (Change::Changed, false) => format!("reloaded: settings {} are in force\n", applied.revision),
    };
    for name in &applied.later {
        text += &format!("{name}: the change takes effect at the next start\n");
    }
    if let Some(time) = confirm.filter(|_| applied.watched) {
        text += &format!("watched for {time:?}: taken back if things get worse (see `status`)\n");
    }
    text
}

/// Waits for what comes of a change that is watched.
async fn follow(
    caller: &Caller,
    applied: &Applied,
    lasts: Duration,
    form: Form,
) -> Result<Told, RemoteError> {
    let leave = Leave::new()?;
    if !form.json {
        // It is long until there is more to say.
        print(&in_words(applied, Some(lasts)));
    }
    let (fate, confirmation) = follow::wait(caller, leave, applied.revision, lasts).await;
    let text = match &fate {
        _ if form.json => json(&Followed { applied, confirmation }),
        Fate::Kept => format!("{fate}\n"),
        _ => String::new(),
    };
    let code = fate.code();
    Ok(Told { text, complaint: code.map(|_| fate.to_string()), code })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("what is shown has names for keys") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn backend(pool: &str, state: &str) -> Backend {
        let backend = json!({
            "pool": pool, "address": "app:1", "state": state, "why": "", "since": "", "hold": null,
            "weight": { "set": 1, "effective": 1 }, "warmth": 100, "rests_until": null, "tier": 0, "zone": null,
            "tags": {}, "in_flight": 0,
            "check": {
                "path": "/", "host": "", "statuses": [], "interval": "5s", "timeout": "1s", "learned": "", "failures": 0,
            },
        });
        serde_json::from_value(backend).expect("a backend")
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_the_backend_that_stays() {
        let known = [backend("p", "leaving"), backend("p", "up"), backend("q", "down")];
        let found = |wanted| find(&known, wanted).map(|backend| backend.state);
        assert!(matches!(found("p/app:1"), Ok(BackendState::Up)));
        assert!(matches!(found("app:1"), Err(RemoteError::Ambiguous { .. })));
        assert!(matches!(find(&known[..1], "app:1"), Ok(backend) if backend.pool == "p"));
    }
}

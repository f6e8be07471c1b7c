//! What operators change through the admin API.

use std::rc::Rc;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderMap, IF_MATCH};
use hyper::{Request, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_local;

use crate::backends::Backend;
use crate::config::{Format, says_nothing};
use crate::connect::Patience;
use crate::control::api::{self, Applied, BackendPatch, Change};
use crate::control::confirm::{self, Before};
use crate::control::desk::{Desk, Intent, Outcome, Refusal};
use crate::control::plan;
use crate::control::reload::tell;

use super::answer::{Answer, backend_tag, json, revision_tag, tagged};
use super::refused::Refused;
use super::sent::Sent;
use super::view;
use super::wish::Wish;

/// Bytes of settings.
const CONFIG_SIZE: usize = 4 << 20;
/// Bytes of any other body.
const BODY_SIZE: usize = 16 << 10;
/// For the others who bring settings to be done with them.
const OTHERS_TIME: Duration = Duration::from_secs(60);

/// Holds or weighs a backend.
pub(super) async fn patch_backend(
    request: Request<&mut Sent>,
    desk: &Desk,
    pool: &str,
    address: &str,
) -> Result<Answer, Refused> {
    expect_json(request.headers())?;
    let (head, body) = request.into_parts();
    let patch: BackendPatch = parse(&body.read(BODY_SIZE).await?)?;
    // A successor that starts would not know of it.
    let holding = desk.holding().await?;
    let before = view::find(desk, pool, address)?;
    check_match(&head.headers, &backend_tag(desk, &before))?;
    if let Some(hold) = patch.hold.filter(|hold| *hold != before.hold) {
        desk.registry().hold(before.id, hold);
    }
    if let Some(weight) = patch.weight.filter(|weight| *weight != before.weight) {
        desk.registry().weigh(before.id, weight);
    }
    forget(desk, &before, &patch);
    let after = view::find(desk, pool, address)?;
    let tag = backend_tag(desk, &after);
    drop(holding);
    // Who is told that it is done may end the backend at once. Nobody else waits for that.
    desk.until_all_know(after.as_of).await;
    Ok(tagged(json(StatusCode::OK, &view::backend(desk, &after)), &tag))
}

/// What is taken back of a backend holds no longer of those, either, to which its name led when it was said.
fn forget(desk: &Desk, backend: &Backend, patch: &BackendPatch) {
    let registry = desk.registry();
    let (hold, weight) = (patch.hold == Some(None), patch.weight == Some(None));
    let (pool, name) = (&backend.terms.pool, backend.terms.backend.url.name());
    let is_left = |known: &Backend| {
        known.leaving && known.terms.pool == *pool && known.terms.backend.url.name() == name
    };
    for known in registry.backends().into_iter().filter(|known| known.id != backend.id && is_left(known)) {
        if hold && known.hold.is_some() {
            registry.hold(known.id, None);
        }
        if weight && known.weight.is_some() {
            registry.weigh(known.id, None);
        }
    }
}

/// Puts the settings that a request brings in force.
pub(super) async fn put_config(
    request: Request<&mut Sent>,
    desk: &Rc<Desk>,
    wish: Wish,
) -> Result<Answer, Refused> {
    let format = format(request.headers())?;
    let (head, body) = request.into_parts();
    let refused = |_: &Refused| {
        if !wish.dry_run {
            desk.count_refused();
        }
    };
    let (bringing, text) = read_settings(body, format, desk).await.inspect_err(refused)?;
    let own = Rc::clone(desk);
    let change = async move {
        let _bringing = bringing;
        let (loaded, turn) = (own.read(text, format).await?, own.turn().await?);
        check_match(&head.headers, &revision_tag(&own, own.revision()))?;
        let before = Before::now(&own).await;
        let outcome = turn.put(loaded, intent(wish)).await;
        Ok(changed(&own, before, outcome, wish))
    };
    carry_out(change, desk, wish).await
}

/// Reads the files anew and puts what they say in force.
pub(super) async fn reload(
    request: Request<&mut Sent>,
    desk: &Rc<Desk>,
    wish: Wish,
) -> Result<Answer, Refused> {
    expect_json(request.headers())?;
    let (head, body) = request.into_parts();
    let body = body.read(BODY_SIZE).await?;
    if !body.is_empty() {
        let api::Reload {} = parse(&body)?;
    }
    let own = Rc::clone(desk);
    let change = async move {
        let (turn, read) = own.turn_with_files().await?;
        check_match(&head.headers, &revision_tag(&own, own.revision()))?;
        let before = Before::now(&own).await;
        let outcome = turn.reload(read, intent(wish)).await;
        Ok(changed(&own, before, outcome, wish))
    };
    carry_out(change, desk, wish).await
}

/// What the settings that a request brings would do.
pub(super) async fn plan(request: Request<&mut Sent>, desk: &Rc<Desk>) -> Result<Answer, Refused> {
    let format = format(request.headers())?;
    let (bringing, text) = read_settings(request.into_body(), format, desk).await?;
    let own = Rc::clone(desk);
    let planned = async move {
        let _bringing = bringing;
        let loaded = own.read(text, format).await?;
        let turn = own.turn().await?;
        // What could not be put in force is refused here as it would be there.
        let outcome = turn.apply(loaded.clone(), Intent::Trial).await?;
        Ok(plan::of(&own, loaded, &outcome).await)
    };
    let planned: Result<_, Refused> =
        spawn_local(planned).await.map_err(|error| Refused::Unfit(error.into()))?;
    Ok(json(StatusCode::OK, &planned?))
}

fn intent(wish: Wish) -> Intent {
    if wish.dry_run { Intent::Trial } else { Intent::Force }
}

/// Lets a change be watched that was made and is to be confirmed.
fn changed(
    desk: &Rc<Desk>,
    before: Before,
    outcome: Result<Outcome, Refusal>,
    wish: Wish,
) -> (Result<Outcome, Refusal>, u64) {
    let is_change = matches!(outcome, Ok(Outcome::Changed | Outcome::Later(_))) && !wish.dry_run;
    if let Some(lasts) = wish.confirm.filter(|_| is_change) {
        desk.chores().begin(confirm::watch(Rc::clone(desk), before, lasts));
    }
    (outcome, desk.revision())
}

/// What came of settings and which are in force now, if it came to that at all.
type Tried = Result<(Result<Outcome, Refusal>, u64), Refused>;

/// Changes run on a task of their own: a caller who leaves leaves none half done, or untold.
async fn carry_out(
    change: impl Future<Output = Tried> + 'static,
    desk: &Rc<Desk>,
    wish: Wish,
) -> Result<Answer, Refused> {
    let own = Rc::clone(desk);
    let told = async move {
        let tried = change.await;
        match &tried {
            _ if wish.dry_run => {}
            Ok((outcome, _)) => tell(&own, outcome),
            Err(_) => own.count_refused(),
        }
        tried
    };
    let tried = spawn_local(told).await.map_err(|error| Refused::Unfit(error.into()))?;
    let (outcome, revision) = tried?;
    let (result, later) = match outcome? {
        Outcome::Unchanged => (Change::Unchanged, Vec::new()),
        Outcome::Waiting(later) => (Change::Unchanged, later),
        Outcome::Changed => (Change::Changed, Vec::new()),
        Outcome::Later(later) => (Change::Changed, later),
    };
    let later = later.into_iter().map(str::to_owned).collect();
    let watched = wish.confirm.is_some() && !wish.dry_run && result == Change::Changed;
    let applied = Applied { result, later, revision, dry_run: wish.dry_run, watched };
    Ok(tagged(json(StatusCode::OK, &applied), &revision_tag(desk, revision)))
}

/// Refuses what others have changed since the caller looked (RFC 9110, section 13.1.1).
fn check_match(headers: &HeaderMap, now: &str) -> Result<(), Refused> {
    let lines: Vec<_> = headers.get_all(IF_MATCH).iter().filter_map(|line| line.to_str().ok()).collect();
    let wanted = lines.join(", ");
    let mut tags = wanted.split(',').map(str::trim);
    if !headers.contains_key(IF_MATCH) || tags.any(|tag| tag == "*" || tag == now) {
        return Ok(());
    }
    Err(Refused::Outdated { now: now.to_owned(), wanted })
}

/// How the body says settings. That it must be said keeps forms of other sites out.
fn format(headers: &HeaderMap) -> Result<Format, Refused> {
    match media_type(headers).as_str() {
        "application/toml" => Ok(Format::Toml),
        "application/yaml" => Ok(Format::Yaml),
        "application/json" => Ok(Format::Json),
        _ => Err(Refused::MediaType("application/toml, application/yaml or application/json")),
    }
}

fn expect_json(headers: &HeaderMap) -> Result<(), Refused> {
    match media_type(headers).as_str() {
        "application/json" | "application/merge-patch+json" => Ok(()),
        _ => Err(Refused::MediaType("application/json")),
    }
}

/// The media type of the body, in lower case and without parameters.
fn media_type(headers: &HeaderMap) -> String {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next().and_then(|line| line.to_str().ok()), lines.next()) else {
        return String::new();
    };
    line.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    // A list of values is no object, and a key that is there twice is told only by the type itself.
    serde_json::from_slice::<serde_json::Map<_, _>>(body)?;
    Ok(serde_json::from_slice(body)?)
}

/// Reads settings, as soon as no other caller brings any. Nothing does not stand for the defaults: it may be a body that was forgotten.
async fn read_settings(
    body: &mut Sent,
    format: Format,
    desk: &Desk,
) -> Result<(OwnedMutexGuard<()>, Vec<u8>), Refused> {
    let bringing = Patience::of(OTHERS_TIME).wait(desk.bringing()).await.ok_or(Refused::Busy)?;
    let text = body.read(CONFIG_SIZE).await?;
    if says_nothing(&text, format) { Err(Refused::Empty) } else { Ok((bringing, text)) }
}

//! Files for TLS to backends are read anew when they were replaced, as those for clients are.
//!
//! That is no change of settings, and takes no turn at the desk: whoever changes those reads the files, too, and what was read here
//! for the ones before goes nowhere then.

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::sleep;
use tracing::info;

use crate::config::{Config, DEFAULT_POOL};
use crate::connect::{LOOK_EVERY, SystemAuthorities, TlsFileError, Watched, Ways, aside};

use super::roster::Roster;

/// Reads files anew whenever they have changed, for ever. What cannot be used changes nothing.
pub(super) async fn watch(roster: Rc<Roster>) {
    let mut watched = Watched::default();
    loop {
        sleep(LOOK_EVERY).await;
        let (config, ways) = roster.current();
        if !ways.iter().any(Ways::have_files) {
            continue;
        }
        let looked = Arc::clone(&ways);
        let look = move || looked.iter().map(Ways::look).unzip();
        let Ok((seen, used)): Result<(Vec<_>, Vec<_>), _> = aside(look).await else { continue };
        let due = watched.due(&seen, &used);
        if due.is_empty() {
            continue;
        }
        let of = Arc::clone(&config);
        // Without anybody to do it, they are due at the next look.
        let Ok(read) = aside(move || read(&of, due)).await else { continue };
        let mut renewed = Vec::new();
        for (pool, result) in read {
            match result {
                Ok(ways) => {
                    watched.take(pool);
                    renewed.push((pool, ways));
                }
                Err(error) => watched.refuse(pool, seen[pool], &error, error.may_pass()),
            }
        }
        let is_other = |(pool, renewed): &&(usize, Ways)| !renewed.are_same(&ways[*pool]);
        let others: Vec<_> = renewed.iter().filter(is_other).map(|(pool, _)| *pool).collect();
        if roster.renew(&ways, renewed) {
            others.into_iter().for_each(|pool| tell(&config.pools[pool].name));
        }
    }
}

fn tell(pool: &str) {
    let of = if pool == DEFAULT_POOL { String::new() } else { format!("pool {pool}: ") };
    info!("{of}the files for TLS to backends were read anew");
}

/// What comes of the files of these pools.
fn read(config: &Config, pools: Vec<usize>) -> Vec<(usize, Result<Ways, TlsFileError>)> {
    let system = SystemAuthorities::default();
    pools.into_iter().map(|pool| (pool, Ways::of(&config.pools[pool], &system))).collect()
}

//! Certificates are renewed when their files are.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::config::Tls as Settings;
use crate::connect::{LOOK_EVERY, Look, Watched, aside};

use super::super::worker::Order;
use super::certificate::Certificate;
use super::files::TlsError;
use super::{Current, Tls};

/// How often the end of certificates is thought of.
const REMIND_EVERY: Duration = Duration::from_secs(12 * 3600);

/// A part that was read, what it looked like before, and what is wrong with it, if it is of no use.
pub(super) type Read = (usize, Look, Result<(), TlsError>);

impl Tls {
    /// Loads files anew whenever they have changed, for ever. What cannot be used changes nothing. Workers who take these orders part from
    /// clients of whom more is asked then.
    pub async fn watch(self: Arc<Self>, workers: Vec<mpsc::Sender<Order>>) {
        let (mut watched, mut reminder) = (Watched::default(), Reminder::new());
        loop {
            sleep(LOOK_EVERY).await;
            let current = self.current();
            let looked = Arc::clone(&current);
            let Ok(seen) = aside(move || look(&looked.settings)).await else { continue };
            let due = watched.due(&seen, &current.loaded);
            if !due.is_empty() {
                let due = due.into_iter().map(|part| (part, seen[part])).collect();
                let this = Arc::clone(&self);
                // Without anybody to do it, they are due at the next look.
                let Ok((asks_more, read)) = aside(move || this.renew(&current, due)).await else { continue };
                if asks_more {
                    part(&workers).await;
                }
                for (part, seen, result) in read {
                    match result {
                        Ok(()) => watched.take(part),
                        Err(error) => watched.refuse(part, seen, &error, error.may_pass()),
                    }
                }
            }
            reminder.look(&self.current().certificates);
        }
    }

    /// Loads of these parts what can be, and tells what cannot. Gives whether more is asked of clients, too.
    fn renew(&self, used: &Arc<Current>, due: Vec<(usize, Look)>) -> (bool, Vec<Read>) {
        let (current, read) = Current::renewed(used, due);
        let mut asks_more = false;
        if let Some(current) = current {
            let renewed = read.iter().filter(|(.., result)| result.is_ok());
            let renewed = renewed.filter_map(|(part, ..)| current.certificates.get(*part));
            renewed.for_each(Certificate::warn_of_its_time);
            asks_more = self.put(current, Some(used));
        }
        (asks_more, read)
    }
}

/// Lets workers part from clients of whom more is asked by now.
async fn part(workers: &[mpsc::Sender<Order>]) {
    for worker in workers {
        // One that has ended has none.
        let _ = worker.send(Order::Part).await;
    }
}

/// At all files that are watched: those of each pair, and behind them those of clients.
pub(super) fn look(settings: &Settings) -> Vec<Look> {
    let pairs = settings.certificates.iter();
    let pairs = pairs.map(|pair| Look::at([Some(&pair.certificate), Some(&pair.key), None]));
    let clients = settings.clients.iter().map(|clients| Look::at([Some(&clients.ca), None, None]));
    pairs.chain(clients).collect()
}

/// When the end of certificates was thought of.
struct Reminder {
    reminded: Instant,
    looked: SystemTime,
}

impl Reminder {
    fn new() -> Self {
        Self { reminded: Instant::now(), looked: SystemTime::now() }
    }

    /// Warns once in a while of those that soon are of no use, and at once of those of which that is news.
    fn look(&mut self, certificates: &[Certificate]) {
        let now = SystemTime::now();
        let is_due = self.reminded.elapsed() >= REMIND_EVERY;
        if is_due {
            self.reminded = Instant::now();
        }
        let is_news = |certificate: &&Certificate| certificate.term.turns_between(self.looked, now);
        let told = certificates.iter().filter(|certificate| is_due || is_news(certificate));
        told.for_each(Certificate::warn_of_its_time);
        self.looked = now;
    }
}

//! The metrics that there are: what each is called, and what it tells.

use std::fmt::{self, Write};
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// What all names begin with.
pub(super) const PREFIX: &str = "loadbalancer";

/// One metric, or several that differ in their labels.
#[derive(Debug)]
pub(super) struct Family {
    name: &'static str,
    kind: Kind,
    /// Whether it is in seconds.
    seconds: bool,
    labels: &'static str,
    help: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    Info,
}

use Kind::{Counter, Gauge, Histogram, Info};

/// Declares families and the list of all of them.
macro_rules! families {
    ($($constant:ident: $name:literal, $kind:expr, $seconds:literal, $labels:literal, $help:literal;)*) => {
        $(pub(super) const $constant: Family =
            Family { name: $name, kind: $kind, seconds: $seconds, labels: $labels, help: $help };)*
        const ALL: &[Family] = &[$($constant),*];
    };
}

#[rustfmt::skip]
families! {
    BUILD: "build", Info, false, "version", "Which program this is";
    START_TIME: "start_time", Gauge, true, "", "When it started";
    STOPPING: "stopping", Gauge, false, "", "Whether it is about to end: it finishes running requests and takes no more clients, at the latest when its notice is over (`timeouts.notice`)";
    SETTINGS_REVISION: "settings_revision", Gauge, false, "", "Grows by one whenever other settings are in force";
    SETTINGS_REFUSED: "settings_refused", Counter, false, "", "Changes of the settings that were refused, reloads included";
    FILES_REFUSED: "settings_files_refused", Gauge, false, "", "Whether the files of settings were refused when they were last read to be put in force, by a reload or because they had changed: what runs is not what they say, and a restart may fail";
    CERTIFICATE_EXPIRY: "certificate_expiry_time", Gauge, true, "file", "When a certificate that clients are shown expires, or the first of its chain";
    LOG_LINES_LOST: "log_lines_lost", Counter, false, "log", "Lines for which a log had no room: `access`, or `stderr` for what the program says of itself";
    CLIENTS: "clients", Gauge, false, "worker", "Connections of clients";
    ANSWERS: "answers", Counter, false, "code", "Answers to clients, refusals of connections included, by the first digit of the status";
    FAILURES: "failures", Counter, false, "reason", "Requests that did not end as their clients wished, by the reason, as in the access log";
    HANDSHAKES_FAILED: "tls_handshakes_failed", Counter, false, "", "Clients that came to a port with TLS and did not come to speak it: their certificate was not taken or ours was not, nothing was agreed upon, they left, or it took too long";
    ANSWER_TIME: "answer_time", Histogram, true, "", "From the end of a request's head to the head of its answer, or until its client left, of a sample: the first few requests of each worker in each tick of its clock";
    POOL_USABLE: "pool_backends_usable", Gauge, false, "pool", "How many backends of a pool may be sent requests now: 0 also if it has none at all";
    SOURCE_FAILING: "source_failing", Gauge, false, "pool, source", "Whether something is wrong with a source of a pool's backends (`discover`): what it told of last still holds";
    BACKEND_UP: "backend_up", Gauge, false, "pool, backend", "Whether a backend is well, or not known to be ill, and no operator holds it";
    BACKEND_WEIGHT: "backend_weight", Gauge, false, "pool, backend", "Its share of requests beside that of the others";
    BACKEND_IN_FLIGHT: "backend_in_flight", Gauge, false, "pool, backend", "Requests that were sent to it and are not yet answered to their end";
    BACKEND_ANSWERS: "backend_answers", Counter, false, "pool, backend, code", "Answers that came of it, by the first digit of the status";
    BACKEND_TIME: "backend_answer_time", Counter, true, "pool, backend", "What its answers took together, from the end of a request to the head of its answer, as far as they were timed: those of the same sample";
    BACKEND_TIMED: "backend_answers_timed", Counter, false, "pool, backend", "How many those were";
    BACKEND_FAILURES: "backend_failures", Counter, false, "pool, backend", "Requests that it is to blame for having no answer to, or none that came to its end (tunnels apart); also those that another backend answered then";
}

impl Family {
    /// Begins it; its values follow.
    pub(super) fn begin<'e>(&'e self, to: &'e mut DescriptorEncoder<'_>) -> Result<Values<'e>, fmt::Error> {
        let unit = self.seconds.then_some(&Unit::Seconds);
        let kind = match self.kind {
            Counter => MetricType::Counter,
            Gauge => MetricType::Gauge,
            Histogram => MetricType::Histogram,
            Info => MetricType::Info,
        };
        Ok(Values { kind: self.kind, encoder: to.encode_descriptor(self.name, self.help, unit, kind)? })
    }

    /// Writes one that has one value and no labels.
    pub(super) fn write(&self, to: &mut DescriptorEncoder<'_>, value: u64) -> fmt::Result {
        write(&mut self.begin(to)?.encoder, self.kind, value)
    }

    /// What its values are called.
    fn full_name(&self) -> String {
        let unit = if self.seconds { "_seconds" } else { "" };
        let suffix = match self.kind {
            Counter => "_total",
            Info => "_info",
            Gauge | Histogram => "",
        };
        format!("{PREFIX}_{}{unit}{suffix}", self.name)
    }
}

/// The values of a family, which are written one after the other.
pub(super) struct Values<'e> {
    kind: Kind,
    pub(super) encoder: MetricEncoder<'e>,
}

impl Values<'_> {
    /// Writes that of these labels.
    pub(super) fn add(&mut self, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
        write(&mut self.encoder.encode_family(labels)?, self.kind, value)
    }

    /// Writes a time of these labels, which only grows.
    pub(super) fn add_seconds(&mut self, labels: &impl EncodeLabelSet, time: Duration) -> fmt::Result {
        let mut value = self.encoder.encode_family(labels)?;
        value.encode_counter::<NoLabelSet, _, u64>(&time.as_secs_f64(), None)
    }
}

fn write(encoder: &mut MetricEncoder<'_>, kind: Kind, value: u64) -> fmt::Result {
    match kind {
        Counter => encoder.encode_counter::<NoLabelSet, _, u64>(&value, None),
        _ => encoder.encode_gauge(&value),
    }
}

/// A table of all of them, as Markdown.
pub fn reference() -> String {
    let mut table = "| metric | type | labels | what it tells |\n|---|---|---|---|\n".to_owned();
    for family in ALL {
        let kind = format!("{:?}", family.kind).to_lowercase();
        let labels: Vec<_> = family.labels.split(", ").filter(|label| !label.is_empty()).collect();
        let labels: Vec<_> = labels.into_iter().map(|label| format!("`{label}`")).collect();
        let (name, labels) = (family.full_name(), labels.join(", "));
        writeln!(table, "| `{name}` | {kind} | {labels} | {} |", family.help)
            .expect("text takes all that is written to it");
    }
    table
}

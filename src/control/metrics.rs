//! What is counted, in words that Prometheus and its like understand.

mod family;
mod series;

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::registry::Registry;

use crate::proxy::REASONS;
use crate::telemetry::{Histogram, Log, Report};

use super::desk::Desk;
use super::discovery::SourceState;
use super::outages::usable_of_each;
use family::{
    ANSWER_TIME, ANSWERS, BACKEND_ANSWERS, BACKEND_FAILURES, BACKEND_IN_FLIGHT, BACKEND_TIME, BACKEND_TIMED,
    BACKEND_UP, BACKEND_WEIGHT, BUILD, CERTIFICATE_EXPIRY, CLIENTS, FAILURES, FILES_REFUSED, Family,
    HANDSHAKES_FAILED, LOG_LINES_LOST, POOL_USABLE, PREFIX, SETTINGS_REFUSED, SETTINGS_REVISION,
    SOURCE_FAILING, START_TIME, STOPPING,
};
use series::Series;

pub use family::reference;

/// No answer comes much sooner: all that are below this stand together.
const SOONEST: Duration = Duration::from_micros(128);
const CLASSES: [&str; 6] = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// How the metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own, version 0.0.4.
    Prometheus,
}

impl Format {
    /// What it is called in HTTP.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// All metrics as they are now.
pub(super) async fn write(desk: &Desk, format: Format) -> String {
    let mut backends = desk.registry().backends();
    backends.retain(|backend| !backend.is_remembered());
    let scrape = Scrape {
        started: desk.began(),
        stopping: desk.is_stopping(),
        revision: desk.revision(),
        refused: desk.refused(),
        files_are_refused: desk.are_files_refused(),
        certificates: desk.certificates(),
        clients: desk.clients(),
        pools: usable_of_each(&desk.config(), &backends),
        sources: desk.source_states(),
        backends: Series::of_all(&backends),
        report: desk.report().await,
    };
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(scrape));
    let mut page = String::new();
    let written = match format {
        Format::OpenMetrics => text::encode(&mut page, &registry),
        Format::Prometheus => prometheus_text::encode(&mut page, &registry),
    };
    written.expect("text takes all that is written to it");
    page
}

/// What is known at one moment.
#[derive(Debug)]
struct Scrape {
    started: SystemTime,
    stopping: bool,
    revision: u64,
    refused: u64,
    files_are_refused: bool,
    certificates: BTreeMap<PathBuf, SystemTime>,
    clients: Vec<usize>,
    pools: Vec<(Arc<str>, u64)>,
    sources: Vec<SourceState>,
    backends: Vec<Series>,
    report: Report,
}

impl Collector for Scrape {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        self.write_process(&mut to)?;
        self.write_requests(&mut to)?;
        self.write_backends(&mut to)
    }
}

impl Scrape {
    fn write_process(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        BUILD.begin(to)?.encoder.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        START_TIME.begin(to)?.encoder.encode_gauge(&since_1970(self.started))?;
        STOPPING.write(to, u64::from(self.stopping))?;
        SETTINGS_REVISION.write(to, self.revision)?;
        SETTINGS_REFUSED.write(to, self.refused)?;
        FILES_REFUSED.write(to, u64::from(self.files_are_refused))?;
        let mut values = CERTIFICATE_EXPIRY.begin(to)?;
        for (file, end) in &self.certificates {
            let labels = [("file", file.to_string_lossy())];
            values.encoder.encode_family(&labels)?.encode_gauge(&since_1970(*end))?;
        }
        let mut values = LOG_LINES_LOST.begin(to)?;
        Log::ALL.iter().try_for_each(|(name, log)| values.add(&[("log", *name)], log.lost()))?;
        let mut values = CLIENTS.begin(to)?;
        (0_u64..)
            .zip(&self.clients)
            .try_for_each(|(worker, clients)| values.add(&[("worker", worker)], *clients as u64))
    }

    fn write_requests(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut values = ANSWERS.begin(to)?;
        classes(self.report.answers).try_for_each(|(class, count)| values.add(&[("code", class)], count))?;
        let mut values = FAILURES.begin(to)?;
        let failures = &self.report.failures;
        REASONS.iter().try_for_each(|reason| values.add(&[("reason", *reason)], failures.of(reason)))?;
        HANDSHAKES_FAILED.write(to, self.report.handshakes_failed)?;
        let times = &self.report.times;
        let (sum, total, buckets) = (times.sum().as_secs_f64(), times.total(), buckets(times));
        ANSWER_TIME.begin(to)?.encoder.encode_histogram::<NoLabelSet>(sum, total, &buckets, None)
    }

    fn write_backends(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut values = POOL_USABLE.begin(to)?;
        self.pools.iter().try_for_each(|(pool, usable)| values.add(&[("pool", &**pool)], *usable))?;
        let mut values = SOURCE_FAILING.begin(to)?;
        for SourceState { pool, source, trouble, .. } in &self.sources {
            let source = source.to_string();
            values.add(&[("pool", &**pool), ("source", &source)], u64::from(trouble.is_some()))?;
        }
        self.each(to, &BACKEND_UP, |series| u64::from(series.up))?;
        self.each(to, &BACKEND_WEIGHT, |series| series.weight)?;
        self.each(to, &BACKEND_IN_FLIGHT, |series| series.in_flight)?;
        self.each(to, &BACKEND_FAILURES, |series| series.failures)?;
        self.each(to, &BACKEND_TIMED, |series| series.timed)?;
        let mut values = BACKEND_TIME.begin(to)?;
        for series in &self.backends {
            values.add_seconds(&series.labels(), series.time)?;
        }
        let mut values = BACKEND_ANSWERS.begin(to)?;
        for series in &self.backends {
            let [pool, backend] = series.labels();
            for (class, count) in classes(series.answers) {
                values.add(&[pool, backend, ("code", class)], count)?;
            }
        }
        Ok(())
    }

    /// A value for each backend.
    fn each(
        &self,
        to: &mut DescriptorEncoder<'_>,
        family: &Family,
        value: fn(&Series) -> u64,
    ) -> fmt::Result {
        let mut values = family.begin(to)?;
        self.backends.iter().try_for_each(|series| values.add(&series.labels(), value(series)))
    }
}

fn since_1970(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Statuses begin with one of five digits.
fn classes(counts: [u64; 6]) -> impl Iterator<Item = (&'static str, u64)> {
    CLASSES.into_iter().zip(counts).skip(1)
}

/// The ends of the buckets in seconds, and how many there are in each.
fn buckets(times: &Histogram) -> Vec<(f64, u64)> {
    let mut buckets = Vec::new();
    let mut sooner = 0;
    for (end, count) in times.doublings() {
        sooner += count;
        if end >= SOONEST {
            let end = if end == Duration::MAX { f64::INFINITY } else { end.as_secs_f64() };
            buckets.push((end, mem::take(&mut sooner)));
        }
    }
    buckets
}

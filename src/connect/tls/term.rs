//! From when to when certificates hold, and what is to be said of that.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// A certificate whose end is this near is warned of.
const NEAR: Duration = Duration::from_secs(14 * 24 * 3600);
/// Names that are told of those that a certificate is for.
const MOST_NAMED: usize = 3;

/// From when to when a certificate holds, and whose it is.
#[derive(Clone, Debug)]
pub struct Term {
    /// Its first names; if it has none, whom it speaks of.
    whose: String,
    begin: ASN1Time,
    end: ASN1Time,
    /// Whose end that is, where it is that of another one of its chain.
    sooner: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Early,
    Good,
    Near,
    Over,
}

impl Term {
    /// Of this certificate, by itself.
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self { whose: whose(certificate), begin: validity.not_before, end: validity.not_after, sooner: None }
    }

    /// Of this certificate with the others of its chain: it is of no use any more when one of them ends.
    pub fn of_chain(first: &X509Certificate<'_>, others: &[CertificateDer<'_>]) -> Self {
        let term = Self::of(first);
        match terms(others).into_iter().min_by_key(|other| other.end) {
            Some(other) if other.end < term.end => Self { end: other.end, sooner: Some(other.whose), ..term },
            _ => term,
        }
    }

    /// When it ends. (One that ended before 1970 did so then.)
    pub fn end(&self) -> SystemTime {
        since_1970(self.end)
    }

    /// The same, as it is told.
    pub fn last(&self) -> String {
        match &self.sooner {
            None => self.end.to_string(),
            Some(other) => format!("{}, when that of {other} in its chain ends", self.end),
        }
    }

    /// Until when it is of use, as it is told.
    pub fn validity(&self) -> String {
        let is = if self.stage(SystemTime::now()) == Stage::Over { "was valid" } else { "valid" };
        format!("{is} until {}", self.last())
    }

    /// Whether there is something else to be said of it at the one moment than at the other.
    pub fn turns_between(&self, one: SystemTime, other: SystemTime) -> bool {
        self.stage(one) != self.stage(other)
    }

    /// Says when it begins, if that is yet to come, or when it ends, if that is soon or was before now. These take it, or do not.
    pub fn remark(&self, file: &Path, whom: &str) -> Option<String> {
        let Self { whose, begin, end, sooner } = self;
        let chain = sooner.as_ref().map(|other| format!("in its chain that of {other} "));
        let chain = chain.unwrap_or_default();
        let said = match self.stage(SystemTime::now()) {
            Stage::Early => format!(
                "not valid before {begin}; {whom} refuse it until then; see whether the clock is right"
            ),
            Stage::Near => format!("{chain}expires on {end}; replace it before"),
            Stage::Over => format!("{chain}expired on {end}; {whom} refuse it, replace it"),
            Stage::Good => return None,
        };
        Some(format!("certificate {} of {whose}: {said}", file.display()))
    }

    fn stage(&self, at: SystemTime) -> Stage {
        match self.end() {
            _ if at < since_1970(self.begin) => Stage::Early,
            end if end < at => Stage::Over,
            end if end < at + NEAR => Stage::Near,
            _ => Stage::Good,
        }
    }
}

/// Says so of a chain, as [`Term::remark`] does.
pub(super) fn remark_on_chain(file: &Path, chain: &[CertificateDer<'_>], whom: &str) -> Option<String> {
    let (first, others) = chain.split_first()?;
    let (_, first) = X509Certificate::from_der(first).ok()?;
    Term::of_chain(&first, others).remark(file, whom)
}

/// Says so of authorities of which none holds any more, or soon none will.
pub fn remark_on_authorities(file: &Path, authorities: &[CertificateDer<'_>]) -> Option<String> {
    let last = terms(authorities).into_iter().max_by_key(Term::end)?;
    let Term { whose, end, .. } = &last;
    let said = match last.stage(SystemTime::now()) {
        Stage::Near => "expires",
        Stage::Over => "expired",
        Stage::Early | Stage::Good => return None,
    };
    let file = file.display();
    Some(format!("authorities {file}: the last of them, {whose}, {said} on {end}; name those that sign now"))
}

/// Of those that can be understood.
fn terms(certificates: &[CertificateDer<'_>]) -> Vec<Term> {
    let parsed = certificates.iter().filter_map(|der| X509Certificate::from_der(der).ok());
    parsed.map(|(_, certificate)| Term::of(&certificate)).collect()
}

/// The names of hosts that a certificate is for, in lower case.
pub fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(name).collect()
}

fn whose(certificate: &X509Certificate<'_>) -> String {
    let mut names = names(certificate);
    if names.is_empty() {
        return certificate.subject().to_string();
    }
    let more = names.len().saturating_sub(MOST_NAMED);
    names.truncate(MOST_NAMED);
    names.extend((more > 0).then(|| format!("{more} more")));
    names.join(", ")
}

fn since_1970(time: ASN1Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(time.timestamp().try_into().unwrap_or_default())
}

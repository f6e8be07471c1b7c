//! What went wrong with TLS, in words that help whoever runs the backend.

use std::error::Error as StdError;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription as Alert, CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::config::as_written;

use super::distrust::Distrust;

/// Why TLS was not agreed upon with a backend. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsFault(Arc<Inner>);

#[derive(Debug, PartialEq)]
struct Inner {
    kind: Kind,
    /// The name that the certificate was to be for.
    name: Option<String>,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Error(Error),
    /// The connection was closed amid the handshake, or reset: that is what a close makes where words of ours are unread.
    Closed,
}

impl TlsFault {
    /// What an attempt at a handshake with the backend of this name failed of, if TLS is to blame.
    pub(super) fn of(error: &io::Error, name: &ServerName<'_>) -> Option<Self> {
        let found = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
        let kind = match found {
            Some(error) => Kind::Error(error.clone()),
            None if is_of_an_end(error.kind()) => Kind::Closed,
            None => return None,
        };
        Some(Self(Arc::new(Inner { kind, name: Some(name.to_str().into_owned()) })))
    }

    /// What a connection ended of later, if TLS is to blame: a backend's verdict on our certificate comes only then.
    pub fn among_the_causes_of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let inner = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
            if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<Error>()) {
                return Some(found.clone().into());
            }
            cause = error.source();
        }
        None
    }

    /// Whether the backend speaks none of the protocols that it was offered.
    pub(super) fn is_of_the_choice(&self) -> bool {
        matches!(self.0.kind, Kind::Error(Error::AlertReceived(Alert::NoApplicationProtocol)))
    }

    /// Whether the backend closed or reset the connection, without a word of TLS.
    pub fn is_of_closing(&self) -> bool {
        matches!(self.0.kind, Kind::Closed)
    }

    /// Whether the backend's certificate is to blame, rather than how it speaks.
    pub fn is_certificate(&self) -> bool {
        matches!(self.0.kind, Kind::Error(Error::InvalidCertificate(_)))
    }
}

impl From<Error> for TlsFault {
    fn from(error: Error) -> Self {
        Self(Arc::new(Inner { kind: Kind::Error(error), name: None }))
    }
}

impl Display for TlsFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            Kind::Closed => f.write_str("it closed the connection amid the TLS handshake"),
            Kind::Error(error) => match error {
                Error::InvalidCertificate(error) => {
                    let name = self.0.name.as_deref().unwrap_or_default();
                    Distrust::of_backend(error, name).fmt(f)
                }
                Error::InvalidMessage(InvalidMessage::InvalidContentType)
                | Error::PeerSentOversizedRecord => {
                    f.write_str("it does not speak TLS; write http:// if it should not")
                }
                Error::AlertReceived(alert) => tell_of_alert(*alert, f),
                Error::PeerIncompatible(
                    PeerIncompatible::ServerDoesNotSupportTls12Or13
                    | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
                ) => f.write_str("it speaks neither TLS 1.2 nor 1.3"),
                Error::PeerIncompatible(why) => write!(
                    f,
                    "it speaks TLS in a way that is not spoken here ({why:?}); let it offer TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM"
                ),
                Error::PeerMisbehaved(why) => {
                    write!(f, "it speaks TLS against the rules ({why:?}); renew its program")
                }
                other => write!(f, "TLS failed: {other}"),
            },
        }
    }
}

/// Whether the other end closed a connection that had been made.
fn is_of_an_end(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Whether it is of a version that knows no extensions, and so no names: `openssl x509 -req` may make one.
pub(in crate::connect) fn is_of_version_1(error: &CertificateError) -> bool {
    // rustls knows this one only by what its verifier calls it.
    matches!(error, CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion"))
}

fn tell_of_alert(alert: Alert, f: &mut Formatter<'_>) -> fmt::Result {
    match alert {
        Alert::CertificateRequired => {
            write!(f, "it wants a certificate of ours; give one with {}", as_written("--backend-cert"))
        }
        Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown | Alert::AccessDenied => {
            write!(f, "it does not take our certificate ({alert:?})")
        }
        Alert::CertificateExpired => f.write_str("it says that our certificate has expired"),
        Alert::ProtocolVersion => f.write_str("it speaks neither TLS 1.2 nor 1.3"),
        Alert::UnrecognisedName => f.write_str("it has no certificate for the name that it was asked for"),
        Alert::NoApplicationProtocol => f.write_str("it speaks neither HTTP/2 nor HTTP/1.1 over TLS"),
        other => write!(f, "it refused the TLS handshake ({other:?})"),
    }
}

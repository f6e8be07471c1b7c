//! Why TLS was not agreed upon with a client, in words that help whoever runs it.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use rustls::{AlertDescription as Alert, Error, InvalidMessage, PeerIncompatible};
use tracing::{debug, info};

use crate::connect::Distrust;

use super::Tls;

/// What a handshake with a client failed of.
struct Refused<'a>(&'a io::Error);

impl Tls {
    /// Tells of a client that speaks no TLS with us: once in a while aloud where its certificate is to blame, for nobody else can
    /// say why.
    pub(in crate::server) fn tell_refused(&self, client: SocketAddr, error: &io::Error) {
        let why = Refused(error);
        let said = why.is_of_its_certificate().then(|| {
            self.distrusted.add(1);
            self.distrusted.to_say(Instant::now())
        });
        match said.flatten() {
            Some(1) => info!("{client}: no TLS: {why}"),
            Some(count) => info!(
                "{client}: no TLS: {why}; clients whose certificates were not taken since this was said last: {count}"
            ),
            None => debug!("{client}: no TLS: {why}"),
        }
    }
}

impl Refused<'_> {
    fn error(&self) -> Option<&Error> {
        self.0.get_ref().and_then(|error| error.downcast_ref())
    }

    fn is_of_its_certificate(&self) -> bool {
        matches!(self.error(), Some(Error::InvalidCertificate(_)))
    }
}

impl Display for Refused<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.error() {
            None if self.0.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("it left amid the handshake")
            }
            None => self.0.fmt(f),
            Some(Error::InvalidCertificate(error)) => Distrust::of_client(error).fmt(f),
            Some(Error::NoCertificatesPresented) => f.write_str("it shows no certificate, and must"),
            Some(Error::AlertReceived(alert)) => tell_of_alert(*alert, f),
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                f.write_str("it does not speak TLS")
            }
            Some(Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired,
            )) => f.write_str("it speaks neither TLS 1.2 nor 1.3"),
            Some(Error::PeerIncompatible(why)) => {
                write!(f, "it speaks TLS in a way that is not spoken here ({why:?})")
            }
            Some(Error::PeerMisbehaved(why)) => write!(f, "it speaks TLS against the rules ({why:?})"),
            Some(other) => other.fmt(f),
        }
    }
}

fn tell_of_alert(alert: Alert, f: &mut Formatter<'_>) -> fmt::Result {
    match alert {
        Alert::UnknownCA => f.write_str("it does not trust the authority that signed our certificate"),
        Alert::BadCertificate | Alert::CertificateUnknown => {
            write!(f, "it does not take our certificate ({alert:?})")
        }
        Alert::CertificateExpired => f.write_str("it says that our certificate has expired"),
        Alert::ProtocolVersion => f.write_str("it speaks neither TLS 1.2 nor 1.3"),
        other => write!(f, "it refused the handshake ({other:?})"),
    }
}

//! Why a certificate is not trusted, in words that help whoever has it.

use std::fmt::{self, Display, Formatter};

use rustls::CertificateError;

const DAY: u64 = 24 * 3600;

/// Keys and signatures that are taken.
const STRONG: &str = "RSA of 2048 bits or more with SHA-256, or ECDSA";

/// What is wrong with a certificate of the other end.
#[derive(Debug)]
pub struct Distrust<'a> {
    error: &'a CertificateError,
    /// What the other end is.
    whose: &'static str,
    /// What a certificate says that is for such a one (`extendedKeyUsage`).
    usage: &'static str,
    /// The name that it was to be for.
    name: &'a str,
}

impl<'a> Distrust<'a> {
    /// In that of a backend of this name.
    pub fn of_backend(error: &'a CertificateError, name: &'a str) -> Self {
        Self { error, whose: "server", usage: "serverAuth", name }
    }

    /// In that of a client.
    pub fn of_client(error: &'a CertificateError) -> Self {
        Self { error, whose: "client", usage: "clientAuth", name: "" }
    }

    fn tell_of_name(&self, presented: &[String], f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "its certificate is not for the name {}", self.name)?;
        // rustls gives them as `DnsName("a.example")` and `IpAddress(127.0.0.1)`.
        let bare = |name: &String| match name.split_once('(') {
            Some((_, inner)) => inner.trim_end_matches(')').trim_matches('"').to_owned(),
            None => name.clone(),
        };
        match presented {
            [] => f.write_str(", nor for any other (subjectAltName)"),
            names => write!(f, " but for {}", names.iter().map(bare).collect::<Vec<_>>().join(", ")),
        }
    }

    /// What rustls knows only by what its verifier calls it.
    fn tell_of_other(&self, called: &str, f: &mut Formatter<'_>) -> fmt::Result {
        let whose = self.whose;
        match called {
            _ if called.contains("CaUsedAsEndEntity") => write!(
                f,
                "its certificate is that of an authority, which is none for a {whose}; \
                 give it one that the authority signed, or a self-signed one that says CA:FALSE"
            ),
            _ if called.contains("UnsupportedCertVersion") => f.write_str(
                "its certificate is of X.509 version 1; give it one with extensions (subjectAltName)",
            ),
            _ if called.contains("EndEntityUsedAsCa") => f.write_str(
                "its certificate is signed by one that is no authority; sign it with one that says CA:TRUE",
            ),
            _ if called.contains("NameConstraintViolation") => f.write_str(
                "its certificate has a name that its authority may not sign for (nameConstraints); give it one of another",
            ),
            _ if called.contains("PathLenConstraintViolated") => f.write_str(
                "its certificate has more authorities above it than the first of them allows (pathlen); give it one of another",
            ),
            _ => write!(f, "its certificate cannot be trusted ({called}); look at it with `openssl x509 -text`"),
        }
    }
}

impl Display for Distrust<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (whose, usage) = (self.whose, self.usage);
        match self.error {
            CertificateError::Expired => f.write_str("its certificate has expired"),
            CertificateError::ExpiredContext { time, not_after } => {
                let days = time.as_secs().saturating_sub(not_after.as_secs()) / DAY;
                write!(f, "its certificate has expired, {days} days ago")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                f.write_str("its certificate is not valid yet; see whether all clocks are right")
            }
            CertificateError::NotValidForName => self.tell_of_name(&[], f),
            CertificateError::NotValidForNameContext { presented, .. } => self.tell_of_name(presented, f),
            CertificateError::UnknownIssuer => {
                f.write_str("its certificate is signed by an authority that is not trusted")
            }
            CertificateError::Revoked => f.write_str("its certificate has been revoked"),
            CertificateError::BadEncoding => f.write_str(
                "its certificate is broken; make it anew, and see whether `openssl x509 -text` reads it",
            ),
            CertificateError::BadSignature => write!(
                f,
                "the signature of its certificate, or the one by its key, is wrong, or made with too short a key; \
                 use {STRONG}, and the certificate of the very authority that signed it"
            ),
            #[expect(deprecated, reason = "its verifiers may still say it")]
            CertificateError::UnsupportedSignatureAlgorithm
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. } => write!(
                f,
                "its certificate is signed in a way that is not taken, such as with SHA-1; have it signed with {STRONG}"
            ),
            // The way is one that is taken, but the authority that has the name has another kind of key.
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => f.write_str(
                "its certificate is not signed by the key of the trusted authority that has the name of its issuer; \
                 use the certificate of the very authority that signed it",
            ),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => write!(
                f,
                "its certificate is not one for a {whose}; give it one whose extendedKeyUsage has {usage}"
            ),
            CertificateError::UnhandledCriticalExtension => f.write_str(
                "its certificate has an extension that is critical and not known here; give it one without",
            ),
            other => self.tell_of_other(&other.to_string(), f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(deprecated, reason = "its verifiers may still say it")]
    fn nothing_is_told_as_rustls_writes_it() {
        for error in [
            CertificateError::UnsupportedSignatureAlgorithm,
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![1],
                supported_algorithms: Vec::new(),
            },
        ] {
            let said = Distrust::of_client(&error).to_string();
            assert!(
                said.ends_with("have it signed with RSA of 2048 bits or more with SHA-256, or ECDSA"),
                "{said}"
            );
        }
        let error = CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![1],
            public_key_algorithm_id: vec![2],
        };
        let said = Distrust::of_client(&error).to_string();
        assert!(said.ends_with("use the certificate of the very authority that signed it"), "{said}");
        let presented = ["DnsName(\"a.example\")", "IpAddress(127.0.0.1)", "DirectoryName"];
        let error = CertificateError::NotValidForNameContext {
            expected: "b".try_into().expect("a name"),
            presented: presented.map(str::to_owned).into(),
        };
        let said = Distrust::of_backend(&error, "b").to_string();
        assert_eq!(said, "its certificate is not for the name b but for a.example, 127.0.0.1, DirectoryName");
    }
}

//! TLS as clients speak it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
    WantsVerifier,
};

use super::pki::{Authority, Pair};

/// A client that knows this authority and speaks every version.
pub fn trusting(authority: &Authority) -> ClientConfig {
    with_roots(builder(rustls::ALL_VERSIONS), authority)
}

/// The same, but it speaks only this version.
pub fn speaking(authority: &Authority, version: &'static SupportedProtocolVersion) -> ClientConfig {
    with_roots(builder(&[version]), authority)
}

/// The same, but it shows a certificate to who asks.
pub fn showing(authority: &Authority, pair: &Pair) -> ClientConfig {
    let builder = builder(rustls::ALL_VERSIONS).with_root_certificates(authority.roots());
    let key = provider().key_provider.load_private_key(pair.key_der()).expect("a key");
    // Whether it is a certificate that anybody takes is for the other end to say.
    let shown = CertifiedKey::new(vec![pair.der.clone()], key);
    builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
}

/// The same, but it says that it knows only signatures whose name begins with this, and takes a certificate for
/// `localhost` whatever name it asked for.
pub fn knowing(authority: &Authority, signatures: &'static str) -> ClientConfig {
    let inner = WebPkiServerVerifier::builder_with_provider(authority.roots(), Arc::new(provider()));
    let verifier = Arc::new(Knowing { inner: inner.build().expect("an authority"), signatures });
    builder(rustls::ALL_VERSIONS).dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
}

/// The same, but it offers only key exchanges whose name this is.
pub fn exchanging(authority: &Authority, group: rustls::NamedGroup) -> ClientConfig {
    let mut provider = provider();
    provider.kx_groups.retain(|known| known.name() == group);
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    with_roots(builder.with_safe_default_protocol_versions().expect("versions"), authority)
}

/// With these protocols to choose from.
pub fn offering(mut config: ClientConfig, protocols: &[&str]) -> ClientConfig {
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// With a memory for so many connections that others of the same test do not share.
pub fn remembering(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

fn provider() -> rustls::crypto::CryptoProvider {
    aws_lc_rs::default_provider()
}

fn builder(versions: &[&'static SupportedProtocolVersion]) -> ConfigBuilder<ClientConfig, WantsVerifier> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()));
    builder.with_protocol_versions(versions).expect("versions")
}

fn with_roots(builder: ConfigBuilder<ClientConfig, WantsVerifier>, authority: &Authority) -> ClientConfig {
    builder.with_root_certificates(authority.roots()).with_no_client_auth()
}

/// Verifies as usual, but says that it can verify less.
#[derive(Debug)]
struct Knowing {
    inner: Arc<WebPkiServerVerifier>,
    signatures: &'static str,
}

impl ServerCertVerifier for Knowing {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = ServerName::try_from("localhost").expect("a name");
        self.inner.verify_server_cert(leaf, others, &name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let known = |scheme: &SignatureScheme| format!("{scheme:?}").starts_with(self.signatures);
        self.inner.supported_verify_schemes().into_iter().filter(known).collect()
    }
}

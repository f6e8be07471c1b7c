//! Certificates, made when a test needs them: authorities, and what they sign.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate of X.509 version 1, as `openssl x509 -req` makes one without `-extfile`, and its key.
pub const OF_VERSION_1: (&str, &str) = (
    "\
-----BEGIN CERTIFICATE-----
MIIBJDCBywIUZDpPOMxEEhtx0JfywtM6EbV3SMgwCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODA1MTk1NFoYDzIxMjYxMTA0MDUxOTU0
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AASHC62tbBnHrRwO5gXlb6bHHeCFz1IUx6UKE4HtJHkqASDAU3054kuCfNwHYSl1
FjvukcfFbG2rzy8nCH1OubGcMAoGCCqGSM49BAMCA0gAMEUCIQD+Az5emiYyMIyu
6FOTIQpKohe4ebBUSTGFkmaPx68OMwIgLR/O9K677jft38sZLVk5TFnFF55QGvf3
9uomlac0Tzw=
-----END CERTIFICATE-----
",
    "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg38BGs3SFWK/fMleV
nNbAjHQ9JN3iWXRzllmqU5PdxnihRANCAASHC62tbBnHrRwO5gXlb6bHHeCFz1IU
x6UKE4HtJHkqASDAU3054kuCfNwHYSl1FjvukcfFbG2rzy8nCH1OubGc
-----END PRIVATE KEY-----
",
);

/// A key of a kind that TLS has no use for: of the curve secp256k1.
pub const OF_ANOTHER_KIND: &str = "\
-----BEGIN PRIVATE KEY-----
MIGEAgEAMBAGByqGSM49AgEGBSuBBAAKBG0wawIBAQQgSlXdELk3FVCDADairWnZ
SHxj5Ij19suX895YZFvi1cShRANCAARDjFOJOo5GHpHDHaLvE7rAMpRL/uYh4+dq
I1drg4aDCTfW6iInvZLb7Q45yWEe3VJSp+Osk2s5t4Wk8nISYNJX
-----END PRIVATE KEY-----
";

/// A certificate with an RSA key of 1024 bits, and that key.
pub const TOO_SHORT: (&str, &str) = (
    "\
-----BEGIN CERTIFICATE-----
MIICHDCCAYWgAwIBAgIUcHEl2REshlJk0rlIyKkzi5R36jcwDQYJKoZIhvcNAQEL
BQAwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODIwNDAwNVoYDzIxMjYx
MTA0MjA0MDA1WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwgZ8wDQYJKoZIhvcNAQEB
BQADgY0AMIGJAoGBALIm+L31uA6E/6QsfIY/l+U1l8+H5UrHXGrpdDGzfgKFd2u/
PGa7DyE9VVTlfZBADicNRdQhliWP0sZGamHSG82fcOAten9WhnMs0ZGA1f38VBrE
59bnLVV+fPX9I+rjtniY+8gkvBDbGtWEPCUnFbccr1zpsQgcWdH/3s3Rz1htAgMB
AAGjaTBnMB0GA1UdDgQWBBSXDEMWouzmh0XHKkcp4epUyR/XCDAfBgNVHSMEGDAW
gBSXDEMWouzmh0XHKkcp4epUyR/XCDAPBgNVHRMBAf8EBTADAQH/MBQGA1UdEQQN
MAuCCWxvY2FsaG9zdDANBgkqhkiG9w0BAQsFAAOBgQA6RHQFZ+1Kx2DRf7kUrLtS
ib8XTvedkLJfMAE3+UK1tR1D+7I+KxMbCuMZjZsxzWqNfKHOJzhRBDOsxoQz8BJ3
Ppnf5um8o8VyEMoQdfunjj6rW03g3/6IwTF8ZAjYmzWwZDv7RJlr7NxmDzskechC
/KUAKARjmGediKkV6hIq5A==
-----END CERTIFICATE-----
",
    "\
-----BEGIN PRIVATE KEY-----
MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBALIm+L31uA6E/6Qs
fIY/l+U1l8+H5UrHXGrpdDGzfgKFd2u/PGa7DyE9VVTlfZBADicNRdQhliWP0sZG
amHSG82fcOAten9WhnMs0ZGA1f38VBrE59bnLVV+fPX9I+rjtniY+8gkvBDbGtWE
PCUnFbccr1zpsQgcWdH/3s3Rz1htAgMBAAECgYBk2nUkrO9WoOpMGbchFO07oBxi
Ky+eJsBl8eWKoW9ro/0YLTnXenw1OBCPsB9mQyz/5J6sWZszhnkvL/vXhuefjYZQ
kI4XzuODsEI6vqG32A7CtYxz9KvyhsoNTve2GceDUli/aGWYD5LinuvfxPZlnK6d
4AuiTwzw9dXiLWFObQJBANvbDqRDH2RxbAWhUKcs7Xok1wiiBO/fnoicAQy3DbGF
E1Jv84xNcj5msBGCrDLCVebl/sIV0HB7j9Ihs+i8jEMCQQDPcMOyAUvcD864B1l/
kBU5C+V4pNZ2ykmVCDXwFIIMqoMXgD81J1hv5t4Rb9K3/X9QiyVZQXyAeo8jB+Qh
HpWPAkEAoeMGP/vQ5MQDt42V9tNFNhhkYk3y9rIhaRP+Td+IbLvBg4U9v4TTZ5Fz
eiFPLL0eRbv7P+ySJBFH0IHSmMAlQwJBAIwQrOJVQ758Ie1acRDT3bCeGrxCONkO
r25kk97eSg15WHiWzJb8UReFwC3v3k0DamKdAYPp1sH9fwZ9PokqWHsCQDleDYAV
SuKWStz2yz2AbBdB/SuukPug6g8M3SXMwtgT2FoW/FqoCA06GDG+sAVO6v7Cick3
2n/VF/C4VVjLq5w=
-----END PRIVATE KEY-----
",
);

pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// Who signs certificates, and the file that its own is in.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: Folder,
}

/// A certificate, its key, and the files that they are in.
pub struct Pair {
    folder: Folder,
    /// The certificate alone.
    pub der: CertificateDer<'static>,
    key: Vec<u8>,
}

/// The kind of a key.
#[derive(Clone, Copy)]
pub enum Kind {
    Ecdsa,
    Rsa,
}

impl Kind {
    fn key(self) -> KeyPair {
        match self {
            Self::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
            Self::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
        }
    }
}

/// A folder that goes when its test does.
pub struct Folder(PathBuf);

impl Authority {
    /// One that nobody knew before.
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // Of two that have one name, who is shown the one takes it for a bad copy of the other.
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self::named(&name, Kind::Ecdsa)
    }

    /// One of this name, with a key of this kind.
    pub fn named(name: &str, kind: Kind) -> Self {
        let mut params = params(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, kind.key()).unwrap();
        let folder = Folder::new();
        folder.write("ca.pem", issuer.pem());
        Self { issuer, folder }
    }

    /// Signs a certificate for these names.
    pub fn signs(&self, names: &[&str]) -> Pair {
        self.signs_with(names, Kind::Ecdsa, |_| {})
    }

    /// Signs one whose time is over in so many days, or was over so many days ago.
    pub fn signs_until(&self, days: i32) -> Pair {
        self.signs_with(&["localhost"], Kind::Ecdsa, |params| {
            let distance = DAY * days.unsigned_abs();
            let now = SystemTime::now();
            params.not_before = (now - 400 * DAY).into();
            params.not_after = if days < 0 { now - distance } else { now + distance }.into();
        })
    }

    /// Signs one with a key of this kind, and what else `change` asks for.
    pub fn signs_with(
        &self,
        names: &[&str],
        kind: Kind,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let mut params = params(names, "a test");
        change(&mut params);
        let key = kind.key();
        Pair::of(&params.signed_by(&key, &self.issuer).unwrap(), &key)
    }

    /// Where its own certificate is.
    pub fn file(&self) -> PathBuf {
        self.folder.path("ca.pem")
    }

    /// The roots of a program that trusts it alone.
    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        Arc::new(roots)
    }
}

impl Pair {
    /// One that nobody but itself has signed.
    pub fn self_signed(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::of(&params(names, "a test").self_signed(&key).unwrap(), &key)
    }

    fn of(certificate: &Certificate, key: &KeyPair) -> Self {
        let folder = Folder::new();
        folder.write("cert.pem", certificate.pem());
        folder.write("key.pem", key.serialize_pem());
        Self { folder, der: certificate.der().clone(), key: key.serialize_der() }
    }

    /// The one of X.509 version 1.
    pub fn of_version_1() -> Self {
        let folder = Folder::new();
        let (certificate, key) = OF_VERSION_1;
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key_der = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).unwrap();
        folder.write("cert.pem", certificate);
        folder.write("key.pem", key);
        Self { folder, der, key: key_der.secret_pkcs8_der().to_vec() }
    }

    /// Where the certificate is.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path("cert.pem")
    }

    /// Where the key is.
    pub fn key(&self) -> PathBuf {
        self.folder.path("key.pem")
    }

    /// The key itself.
    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// Puts another pair into this one's files, as `certbot` does: each file is replaced, not written to.
    pub fn become_that_of(&self, other: &Self) {
        replace(&self.certificate(), &fs::read(other.certificate()).unwrap());
        replace(&self.key(), &fs::read(other.key()).unwrap());
    }
}

fn params(names: &[&str], common_name: &str) -> CertificateParams {
    let mut params =
        CertificateParams::new(names.iter().copied().map(str::to_owned).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// Puts something else into a file, in one step.
pub fn replace(path: &Path, contents: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, contents).unwrap();
    fs::rename(new, path).unwrap();
}

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is below target/ anyway.
        let _ = fs::remove_dir_all(&self.0);
    }
}

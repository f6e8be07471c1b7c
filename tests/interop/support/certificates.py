"""Certificates for one run: an authority with a server and a client, and a stranger."""

import datetime
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
NAMES = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


@dataclass
class Pair:
    chain: Path
    key: Path


class Certificates:
    """`authority` signs `server` and `client`; `stranger` is a client of another authority, `elsewhere`."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="interop-")
        folder = Path(self._folder.name)
        ours, theirs = Authority("authority"), Authority("elsewhere")
        self.authority = ours.write(folder / "authority.pem")
        self.elsewhere = theirs.write(folder / "elsewhere.pem")
        self.server = ours.sign("localhost", ExtendedKeyUsageOID.SERVER_AUTH, NAMES, folder / "server")
        self.client = ours.sign("client", ExtendedKeyUsageOID.CLIENT_AUTH, [], folder / "client")
        self.stranger = theirs.sign("stranger", ExtendedKeyUsageOID.CLIENT_AUTH, [], folder / "stranger")

    def context(self, *protocols):
        """How a client of Python speaks TLS with what `server` has, offering these protocols."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.set_alpn_protocols(list(protocols))
        return context


class Authority:
    def __init__(self, name):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = named(name)
        self.identity = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        builder = begin(self.name, self.name, self.key).add_extension(self.identity, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = dict.fromkeys(
            "content_commitment key_encipherment data_encipherment key_agreement encipher_only decipher_only".split(),
            False,
        )
        usage = x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage)
        self.certificate = builder.add_extension(usage, critical=True).sign(self.key, hashes.SHA256())

    def write(self, path):
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def sign(self, name, purpose, names, path):
        """Makes a key and its certificate, both in files that begin with this path."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = begin(named(name), self.name, key)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        signer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self.identity)
        builder = builder.add_extension(signer, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        pair = Pair(path.with_suffix(".pem"), path.with_suffix(".key"))
        pair.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        form = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        pair.key.write_bytes(pem)
        pair.key.chmod(0o600)
        return pair


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def begin(subject, issuer, key):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - DAY).not_valid_after(now + 90 * DAY)

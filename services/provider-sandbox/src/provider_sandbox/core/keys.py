"""Private keys of the played providers: made once, kept with the rest of the state."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from provider_sandbox.core.world import World

_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_loaded: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {}


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _load(pem: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    if pem not in _loaded:
        key = serialization.load_pem_private_key(pem.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
        _loaded[pem] = key
    return _loaded[pem]


def rsa_key(world: World, name: str) -> rsa.RSAPrivateKey:
    """An RSA key of 2048 bits."""
    saved = world.store.find("secret", f"{name} key")
    if saved is None:
        made = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        saved = {"value": world.secret(f"{name} key", _pem(made))}
    key = _load(saved["value"])
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def ec_key(world: World, name: str) -> ec.EllipticCurvePrivateKey:
    """A key on P-256."""
    saved = world.store.find("secret", f"{name} key")
    if saved is None:
        made = ec.generate_private_key(ec.SECP256R1())
        saved = {"value": world.secret(f"{name} key", _pem(made))}
    key = _load(saved["value"])
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def certificate(world: World, name: str) -> str:
    """A self-signed certificate of the RSA key of this name, as PEM."""
    saved = world.store.find("secret", f"{name} certificate")
    if saved is not None:
        return str(saved["value"])
    key = rsa_key(world, name)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}.sandbox.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_BEGINNING)
        .not_valid_after(_BEGINNING + timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM).decode()
    return world.secret(f"{name} certificate", pem)

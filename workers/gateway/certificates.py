"""What a client certificate (X.509) says of its bearer, in the words of a policy."""

from hashlib import sha256


def names_of(pem: bytes) -> tuple[str, ...]:
    """Return what a policy may call the bearer of a client certificate: its SANs, and the hash of its public key."""
    from cryptography import x509  # noqa: PLC0415 - where nobody brings a certificate it is never loaded
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - as above

    certificate = x509.load_pem_x509_certificate(pem)
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    names = [f"spki:sha256:{sha256(public).hexdigest()}"]
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(names)
    names += (f"uri:{uri}" for uri in alternative.get_values_for_type(x509.UniformResourceIdentifier))
    names += (f"dns:{name.lower()}" for name in alternative.get_values_for_type(x509.DNSName))
    return tuple(names)

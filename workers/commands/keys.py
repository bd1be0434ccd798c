"""`sealane keys`: make, take in and show the keys that sign."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workers.commands.output import DATA, JSON, examples, write_json

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from workers.adapters.keys.folder import KeyFolder
    from workers.app.keys import Described

keys = typer.Typer(
    help="Make, take in and show the keys that sign.",
    epilog=examples(
        "sealane keys create --name ci",
        "sealane keys import ci.pem --name ci",
        "sealane keys show ci --json",
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
NAME = Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the key.")]
FOLDER = Annotated[
    str | None,
    typer.Option("--folder", metavar="DIR", help="Folder of local keys; default: ~/.config/sealane/keys."),
]
PASSPHRASE = Annotated[
    str | None,
    typer.Option("--passphrase", metavar="REF", help="Where the passphrase is: env://NAME or file:///PATH."),
]
OVERWRITE = Annotated[bool, typer.Option("--overwrite", help="Replace a local key of this name.")]
_PKIX = "ECDSA_P256_SHA256"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys, name="keys")


@keys.command(
    epilog=examples(
        "sealane keys create --name ci",
        "sealane keys create --name ci --algorithm ML_DSA_65 --passphrase env://CI_PASSPHRASE",
        "sealane keys create --name release --algorithm OPENPGP --user-id 'Release <release@example.com>'",
        "sealane keys create --name ci --kms projects/P/locations/europe/keyRings/R --algorithm RSA_PSS_4096_SHA512",
    )
)
def create(
    name: NAME,
    algorithm: Annotated[
        str, typer.Option("--algorithm", metavar="A", help="As an attestor calls it (ML_DSA_65, …), or OPENPGP.")
    ] = _PKIX,
    kms: Annotated[
        str | None, typer.Option("--kms", metavar="RING", help="Make it in this Cloud KMS key ring, made if missing.")
    ] = None,
    *,
    new_version: Annotated[bool, typer.Option("--new-version", help="In Cloud KMS: a further version of it.")] = False,
    hsm: Annotated[bool, typer.Option("--hsm", help="In Cloud KMS: in a hardware security module.")] = False,
    passphrase: PASSPHRASE = None,
    user_id: Annotated[
        str | None, typer.Option("--user-id", metavar="U", help="Owner of an OpenPGP key; default: its name.")
    ] = None,
    folder: FOLDER = None,
    overwrite: OVERWRITE = False,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Make a signing key: a file for you alone, or in Cloud KMS.

    Printed is what others may know: its public half, its id, and the reference for a signing rule.
    """
    import asyncio

    from workers.app.keys import create_in_kms, create_local, named_algorithm
    from workers.failures import Invalid

    word = named_algorithm(algorithm)
    if kms is not None:
        if passphrase or user_id or folder is not None or overwrite:
            raise Invalid("--passphrase, --user-id, --folder and --overwrite are for local keys: drop them or --kms")
        protection = "HSM" if hsm else "SOFTWARE"
        made = create_in_kms(kms, name, word, data, protection=protection, new_version=new_version)
        _write(asyncio.run(made), as_json=as_json)
        return
    if new_version or hsm:
        raise Invalid("--new-version and --hsm are for Cloud KMS: name a key ring with --kms, or drop them")
    if user_id is not None:
        _require_user_id(user_id, word)
    local = create_local(_folder(folder), name, word, passphrase=passphrase, user_id=user_id, overwrite=overwrite)
    _write(asyncio.run(local), as_json=as_json)


@keys.command(
    "import",
    epilog=examples(
        "sealane keys import ci.pem --name ci",
        "sealane keys import release.asc --name release --passphrase file:///run/secrets/release",
    ),
)
def import_(
    source: Annotated[str, typer.Argument(metavar="FILE", help="A private key: PEM, or armored OpenPGP.")],
    name: NAME,
    *,
    passphrase: PASSPHRASE = None,
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", metavar="A", help="Which of those that an RSA key can sign with.")
    ] = None,
    folder: FOLDER = None,
    overwrite: OVERWRITE = False,
    as_json: JSON = False,
) -> None:
    """Check a private key and copy it into the folder of keys.

    The copy is for you alone; an encrypted key stays encrypted.
    """
    import asyncio

    from workers.app.keys import import_local, named_algorithm, reference_of
    from workers.failures import Invalid
    from workers.key_references import LocalKey, is_kms_key

    place = _folder(folder)
    written = source if "://" in source or source.startswith("projects/") else str(Path(source).absolute())
    reference = reference_of(
        written, place, passphrase=passphrase, algorithm=named_algorithm(algorithm) if algorithm else None
    )
    if is_kms_key(reference):
        raise Invalid("a key in Cloud KMS never leaves it: name its version in a signing rule")
    imported = import_local(place, LocalKey.parse(reference), name, overwrite=overwrite)
    _write(asyncio.run(_opened(imported)), as_json=as_json)


@keys.command(
    epilog=examples(
        "sealane keys show ci",
        "sealane keys show file:///run/keys/ci.pem --public >ci.pub",
        "sealane keys show projects/P/locations/europe/keyRings/R/cryptoKeys/K/cryptoKeyVersions/1 --json",
    )
)
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A name, a path or a reference as in a signing rule.")],
    *,
    public: Annotated[bool, typer.Option("--public", help="Write the public half alone, for a file.")] = False,
    passphrase: PASSPHRASE = None,
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", metavar="A", help="Which of those that an RSA key can sign with.")
    ] = None,
    folder: FOLDER = None,
    data: DATA = None,
    as_json: JSON = False,
) -> None:
    """Show what others know of a key: public half, id, algorithm.

    With --json it is an AttestorPublicKey, as Binary Authorization takes it.
    """
    import asyncio

    from workers.app.keys import describe, named_algorithm, reference_of

    chosen = named_algorithm(algorithm) if algorithm else None
    reference = reference_of(key, _folder(folder), passphrase=passphrase, algorithm=chosen)
    found = asyncio.run(_opened(describe(reference, data)))
    if as_json:
        write_json(found.attestor_key)
    elif public:
        typer.echo(found.public.pem.rstrip("\n"))
    else:
        _write(found, as_json=False)


def _folder(folder: str | None) -> "KeyFolder":
    """Return the folder of keys. Raises Invalid for an empty name, as that of a variable that is not set."""
    from workers.adapters.keys.folder import KeyFolder
    from workers.app.keys import FOLDER as DEFAULT
    from workers.failures import Invalid

    if folder is not None and not folder.strip():
        raise Invalid("--folder is empty: name a folder, or leave the option out")
    return KeyFolder(DEFAULT if folder is None else Path(folder))


async def _opened(work: "Awaitable[Described]") -> "Described":
    """Return what the work does. Raises Invalid that names the option for the passphrase of an encrypted key."""
    from workers.adapters.keys.encrypted import PassphraseMissing
    from workers.failures import Invalid

    try:
        return await work
    except PassphraseMissing as problem:
        raise Invalid(
            f"{problem.place} is encrypted: say where its passphrase is, --passphrase env://NAME or"
            " --passphrase file:///PATH"
        ) from None


def _require_user_id(user_id: str, algorithm: str) -> None:
    """Raise Invalid when the key has no owner, or none can be called so."""
    from workers.failures import Invalid
    from workers.key_references import OPENPGP

    if algorithm != OPENPGP:
        raise Invalid("--user-id is for OpenPGP keys: say --algorithm OPENPGP, or drop it")
    if not (user_id.strip() and user_id.isprintable()):
        raise Invalid("--user-id is one line of text: write it as in 'Release <release@example.com>'")


def _write(key: "Described", *, as_json: bool) -> None:
    """Write what others may know of a key."""
    from workers.commands.output import one_line

    public = key.public
    if as_json:
        record = {"reference": key.reference, "id": public.id, "algorithm": public.algorithm}
        write_json(record | {"attestor_public_key": key.attestor_key})
        return
    for title, text in (("reference", key.reference), ("algorithm", public.algorithm), ("id", public.id)):
        typer.echo(f"{title:<10} {one_line(text)}")
    typer.echo(f"\n{public.pem.rstrip()}")

"""Takes secrets out of texts before they are shown, stored or logged.

Nobody here writes a key on purpose. But a service may send one back in its refusal, a proxy may
quote the address that it was given, and a library may put a header into its exception.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK: Final = "***"
#: Shorter values are words that occur by chance; no key is that short.
SHORTEST: Final = 6
#: deAPI's gateway spells the same key with this in front.
_PREFIX: Final = "dpn-sk-"


class Redactor:
    """Writes `***` for each secret, in every spelling in which it travels. Shared by all threads.

    Args:
        secrets: Keys, passwords, and addresses with a password in them.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in forms_of(secret)}
        # the longest first: one may be a part of another
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """The text without secrets; most texts are unchanged."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)


def forms_of(secret: str) -> set[str]:
    """How a secret may be written: as it is, its parts that are secret alone, and each encoded.

    "" and what is too short to be told from a word have none.
    """
    spelled = {
        form
        for part in _parts(secret.strip())
        for form in (
            part,
            unquote(part),
            quote(part),
            quote(part, safe=""),
            quote_plus(part),
            json.dumps(part)[1:-1],
            repr(part)[1:-1],
        )
    }
    return {form for form in spelled if len(form) >= SHORTEST}


def _parts(secret: str) -> Iterator[str]:
    yield secret
    bare = secret.removeprefix(_PREFIX)
    yield bare
    yield bare.partition("|")[2]  # "123|abc": the number is no secret, the rest is
    yield base64.b64encode(secret.encode("utf-8", "replace")).decode("ascii")
    if "://" not in secret:
        return
    try:
        parts = urlsplit(secret)
        user, password = parts.username or "", parts.password or ""
    except ValueError:
        return
    if password:
        yield password
        pair = f"{unquote(user)}:{unquote(password)}"
        yield pair
        yield base64.b64encode(pair.encode("utf-8", "replace")).decode("ascii")

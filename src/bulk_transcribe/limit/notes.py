"""What is known of an account, as its book keeps it: text, read anew only when it changed."""

from bulk_transcribe.core.permit import PermitBook
from bulk_transcribe.limit.facts import AccountFacts, read_facts, write_facts


class Notes:
    """The facts of one account. `read` and `keep` need the book; may be shared by all threads."""

    def __init__(self) -> None:
        self._read: tuple[str, AccountFacts] = ("", AccountFacts())  # replaced whole, never changed

    @property
    def last(self) -> AccountFacts:
        """As read or kept last: what is left when the book cannot be reached."""
        return self._read[1]

    def read(self, book: PermitBook) -> AccountFacts:
        """What the book says now."""
        text = book.note()
        known_text, facts = self._read
        if text != known_text:
            facts = read_facts(text)
            self._read = (text, facts)
        return facts

    def keep(self, book: PermitBook, before: AccountFacts, after: AccountFacts) -> None:
        """Write down what is known now, if that is news."""
        if after != before:
            text = write_facts(after)
            book.keep_note(text)
            self._read = (text, after)

import random
import string

from bulk_transcribe.inputs.links import is_like_a_word


def test_words_and_numbers_are_told_from_ids() -> None:
    words = [
        "documentary",
        "DOCUMENTARY",
        "Mississippi",
        "well-formed",
        "Well-Formed",
        "12345678901",
    ]
    ids = ["dQw4w9WgXcQ", "jNQXAC9IVRw", "9bZkp7q19f0", "-abcdefghij", "abcdefghij_", "rrkrvAUbU9Y"]
    assert all(map(is_like_a_word, words))
    assert not any(map(is_like_a_word, ids))


def test_hardly_any_random_id_looks_like_a_word() -> None:
    choices = random.Random(7).choices
    alphabet = string.ascii_letters + string.digits + "-_"
    ids = ["".join(choices(alphabet, k=11)) for _ in range(50_000)]
    assert sum(map(is_like_a_word, ids)) < 20

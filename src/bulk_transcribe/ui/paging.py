"""Long lists in pages."""

import streamlit as st


def page_of(total: int, each: int, *, key: str, width: int = 140) -> int:
    """The page that was chosen, from 1; a box to choose it where there is more than one.

    Args:
        total: Entries in all.
        each: Entries of a page.
        key: Of the box.
        width: Of the box.
    """
    pages = -(-total // each)
    if pages <= 1:
        return 1
    return int(
        st.number_input(f"Page of {pages}", min_value=1, max_value=pages, key=key, width=width)
    )

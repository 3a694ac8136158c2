"""The script that Streamlit runs.

It does not lie beside the folder `pages`: Streamlit would take that for its older kind of pages,
and the first look at an address such as /results would say "Page not found".
"""

from bulk_transcribe.ui.main import show

show()

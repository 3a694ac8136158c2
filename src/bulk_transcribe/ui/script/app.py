"""What `streamlit run` serves: the page, behind the gate that refuses other origins."""

from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from bulk_transcribe.ui.same_origin import SameOrigin

app = App(Path(__file__).with_name("main.py"), middleware=[Middleware(SameOrigin)])

"""The script that Streamlit is given, in a folder of its own; see `main`."""

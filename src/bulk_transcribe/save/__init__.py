"""The store and the files: what must still be there after a power cut.

`database.py` opens the database and is the only module with a word of a certain SQL dialect;
`tables.py` says what is in it; the other modules each keep one noun of it. `export/` writes the
files that people read.
"""

"""`python -m bulk_transcribe` is the command line."""

from bulk_transcribe.cli.main import main

if __name__ == "__main__":
    main()

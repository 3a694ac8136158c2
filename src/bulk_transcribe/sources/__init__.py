"""The ways to a transcript: free captions, and the paid service under law 3 (money first)."""

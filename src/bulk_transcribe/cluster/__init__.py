"""Workers on several machines: one queue, one store, the same steps as at home."""

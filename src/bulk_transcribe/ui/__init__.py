"""The page: it reads the store and writes wishes; runs live in processes of their own."""

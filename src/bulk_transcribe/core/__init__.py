"""Values and ports: what the rooms hand to each other. Nothing here does any I/O."""

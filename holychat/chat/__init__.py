"""One live turn at a time: sending, streaming, keeping, stopping, trying again."""

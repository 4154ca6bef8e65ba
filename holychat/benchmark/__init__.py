"""The two roads held against each other: the same prompts streamed one after another, and as a batch of the desk."""

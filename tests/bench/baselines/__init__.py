"""What holychat is compared with: the framework alone, and the wire alone."""

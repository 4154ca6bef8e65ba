"""The composition root: Paths -> Settings -> Database -> KeyChain -> registry -> services."""

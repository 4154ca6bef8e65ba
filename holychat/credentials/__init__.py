"""Where a key comes from: environment, keyring of the operating system, a command, memory of this run."""

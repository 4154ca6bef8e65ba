"""The built-in provider: extractive summaries and help, with no key, no network and no language model."""

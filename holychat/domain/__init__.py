"""Pure values and rules: no input or output, no clock, no randomness, nothing but the standard library."""

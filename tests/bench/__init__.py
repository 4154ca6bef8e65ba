"""The project's own benchmarks: `python -m tests.bench --help`, and README.md in this folder."""

"""`python -m holychat` is the same as `holychat`."""

from holychat.cli import main

if __name__ == "__main__":
    main()

"""`python -m tests.statements CODE`: a command that does whatever a test wants."""

import sys

if __name__ == "__main__":
    exec(sys.argv[1])

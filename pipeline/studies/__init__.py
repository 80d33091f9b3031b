"""The problem set as studies: published numbers, runs that answer them, verdicts, report."""

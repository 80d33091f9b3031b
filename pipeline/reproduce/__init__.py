"""The studies of the problem set: published numbers beside ours, with verdicts and a report."""

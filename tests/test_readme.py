from __future__ import annotations

from benchmarks.readme import README, RESULTS, in_place, table


def test_the_numbers_in_the_readme_are_those_that_were_measured():
    text = README.read_text()
    assert in_place(text, table(RESULTS)) == text

"""The figures of a sweep, in the Vega-Lite language: for files and for the page."""

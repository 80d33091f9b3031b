"""Small commands; `python -m pipeline.ui` finds `tools/ui.py`, and so on."""

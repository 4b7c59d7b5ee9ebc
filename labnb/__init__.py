"""Turns a Jupyter notebook into a lab bench."""

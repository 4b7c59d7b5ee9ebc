"""Measuring in a notebook: `%%measure` cells, live panels and figures, frozen pictures."""

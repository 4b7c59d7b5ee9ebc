"""
.. include:: troubleshooting.md
"""

"""What does not work, and what to do about it.

.. include:: troubleshooting.md
"""

"""What survives what, and what is not promised.

.. include:: promises.md
"""

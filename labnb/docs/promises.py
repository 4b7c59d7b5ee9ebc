"""
.. include:: promises.md
"""

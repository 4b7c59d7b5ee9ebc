"""
.. include:: coming_from.md
"""

"""What you know from other packages, said in labnb.

.. include:: coming_from.md
"""

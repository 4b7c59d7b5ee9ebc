"""What runs in a browser alone, without a server (JupyterLite), and what does not.

.. include:: jupyterlite.md
"""

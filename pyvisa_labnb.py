"""The door that PyVISA's plug-in convention asks for: `pyvisa.ResourceManager("demo@labnb")`."""

from labnb.sim.backend import LabnbVisaLibrary

WRAPPER_CLASS = LabnbVisaLibrary

__all__ = ["WRAPPER_CLASS"]

"""The door that PyVISA's plug-in convention asks for: `pyvisa.ResourceManager("demo@labnb")`."""

from labnb.sim.backend import LabnbVisaLibrary as WRAPPER_CLASS

__all__ = ["WRAPPER_CLASS"]

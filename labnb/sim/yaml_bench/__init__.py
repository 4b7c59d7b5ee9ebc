"""Simulated benches as YAML files. Needs pydantic and PyYAML, so it is imported when a file is opened.

A room above reads the same file with a schema of its own:

    document = read_document(path)
    schema = validate(document, MyBenchSchema)                 # a subclass of BenchSchema
    built = build(document, schema, path.parent)               # its simulated part
    document.mistake(("experiment", "title"), "..."), document.refuse()     # mistakes of its own, with their lines
"""

from labnb.sim.yaml_bench.build import Built, build
from labnb.sim.yaml_bench.document import Document, Mistake, Place, read_document
from labnb.sim.yaml_bench.schema import BenchSchema, InstrumentEntry, PartEntry, Strict, Wire, check, validate

__all__ = [
    "BenchSchema",
    "Built",
    "Document",
    "InstrumentEntry",
    "Mistake",
    "PartEntry",
    "Place",
    "Strict",
    "Wire",
    "build",
    "check",
    "read_document",
    "validate",
]

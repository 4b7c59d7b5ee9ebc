"""The documentation of labnb: pages to read, and the reference of every public name.

Pages:

- `labnb.docs.coming_from`: the same measurement in QCoDeS, PyMeasure, pytestlab, pymanip and bluesky, and here
- `labnb.docs.promises`: what survives what, and what is not promised
- `labnb.docs.troubleshooting`: what `labnb doctor` finds, and what to do about it
- `labnb.docs.jupyterlite`: what runs in a browser alone, and what does not

Reference:

- `labnb`: the names that one uses: `Measurement`, `Bench`, `Instrument`, `sweep`, `channel`, `runs`, ...
- `labnb.core`: values, sweeps, plans, errors
- `labnb.instruments`: drivers, links, limits, channels, meta instruments
- `labnb.instruments.drivers`: supply, multimeter, oscilloscope, ...: what `demo_bench()` and `connect(...)` give
- `labnb.sim`: the simulated bench, its instruments and parts, virtual time
- `labnb.record`: runs on disk, the catalogue, `data.labnb`
- `labnb.session`: measurements, tasks, benches, monitoring
- `labnb.sharing`: reservations, pin maps, gateway
- `labnb.remote`: the page of a monitoring session, observers, mail
- `labnb.live`: what figures show, as plain values

In a notebook, `%%measure?` and `%%task?` are the manual of the cells; in a terminal, `labnb --help` that of the command.

The notebooks are the tutorial: `labnb lab` opens them.
"""

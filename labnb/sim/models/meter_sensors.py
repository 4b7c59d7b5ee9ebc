"""Which temperature a resistance means: platinum resistors and the thermistors that multimeters know."""

import math

ZERO_C = 273.15
_A, _B, _C = 3.9083e-3, -5.775e-7, -4.183e-12
"""IEC 60751: R / R0 = 1 + A t + B t^2 + C (t - 100) t^3 in degrees Celsius; C only below 0."""
_STEINHART_HART = {
    "2252": (1.4733e-3, 2.372e-4, 1.074e-7),
    "5000": (1.288e-3, 2.356e-4, 9.557e-8),
    "10000": (1.0295e-3, 2.391e-4, 1.568e-7),
}
"""1/T = a + b ln R + c (ln R)^3 of YSI's 44004, 44007 and 44006, by their ohms at 25 degrees Celsius."""


def rtd_kelvin(ohms: float, ohms_at_0: float) -> float:
    """Return the temperature of a platinum resistor."""
    ratio = ohms / ohms_at_0
    celsius = (-_A + math.sqrt(max(_A**2 - 4.0 * _B * (1.0 - ratio), 0.0))) / (2.0 * _B)
    for _ in range(20 if celsius < 0 else 0):
        value = 1.0 + _A * celsius + _B * celsius**2 + _C * (celsius - 100.0) * celsius**3 - ratio
        slope = _A + 2.0 * _B * celsius + _C * (4.0 * celsius - 300.0) * celsius**2
        celsius = max(celsius - value / slope, -250.0)
    return ZERO_C + celsius


def rtd_ohms(kelvin: float, ohms_at_0: float) -> float:
    """Return the resistance of a platinum resistor."""
    celsius = kelvin - ZERO_C
    cold = _C * (celsius - 100.0) * celsius**3 if celsius < 0 else 0.0
    return ohms_at_0 * (1.0 + _A * celsius + _B * celsius**2 + cold)


def thermistor_kelvin(ohms: float, kind: str) -> float:
    """Return the temperature of a thermistor of `kind` ohms at 25 degrees Celsius."""
    a, b, c = _STEINHART_HART[kind]
    log = math.log(max(ohms, 1e-3))
    return 1.0 / max(a + b * log + c * log**3, 1e-4)


def in_unit(kelvin: float, unit: str) -> float:
    """Return `kelvin` in C, F or K."""
    if unit == "K":
        return kelvin
    celsius = kelvin - ZERO_C
    return celsius if unit == "C" else 1.8 * celsius + 32.0

"""Which current a p-n junction carries at which voltage and temperature: closed forms, and a tangent for Newton."""

import math

BOLTZMANN_V_PER_K = 8.617333262e-5
"""k/q, CODATA 2018."""

T0_K = 300.0
"""Temperature at which a diode's saturation current is given."""


class Junction:
    """A p-n junction at one temperature, i = Is (exp(v / scale) - 1), that keeps Newton from running up its exponential.

    Source of the limit: Nagel 1975, section 3.3 (`pnjlim`): above the critical voltage a step goes along the logarithm.
    """

    def __init__(self, saturation_a: float, scale_v: float, volts: float = 0.0) -> None:
        self.saturation_a = saturation_a
        self.scale_v = scale_v
        self.volts = volts
        """Where the last tangent touched."""
        self._critical = scale_v * math.log(scale_v / (math.sqrt(2.0) * saturation_a))

    def current(self, volts: float) -> float:
        """Return the current at `volts`."""
        return self.saturation_a * math.expm1(min(volts / self.scale_v, 200.0))

    def tangent(self, volts: float) -> tuple[float, float]:
        """Return slope and current at zero volts of the tangent at `volts`, or where the limit lets it be."""
        volts = self.volts = self._limit(volts)
        growth = math.exp(min(volts / self.scale_v, 200.0))
        siemens = self.saturation_a * growth / self.scale_v
        return siemens, self.saturation_a * (growth - 1.0) - siemens * volts

    def _limit(self, volts: float) -> float:
        scale, before = self.scale_v, self.volts
        if volts <= self._critical or abs(volts - before) <= 2.0 * scale:
            return volts
        if before <= 0:
            return scale * math.log(volts / scale)
        growth = 1.0 + (volts - before) / scale
        return before + scale * math.log(growth) if growth > 0 else self._critical


def saturation_current(
    kelvin: float, at_t0_a: float = 2.52e-9, ideality: float = 1.752, gap_ev: float = 1.11, exponent: float = 3.0
) -> float:
    """Return a diode's saturation current in A at `kelvin`.

    Is(T) = Is(T0) (T/T0)^(XTI/n) exp(Eg q / (n k) (1/T0 - 1/T)), T0 = 300 K: the law of SPICE2
    (Nagel 1975, section 3.2; ngspice manual, section "Diodes", equation for IS(T)).
    """
    if not kelvin > 0:
        raise ValueError(f"a diode at {kelvin} K: the temperature must be above zero")
    growth = gap_ev / (ideality * BOLTZMANN_V_PER_K) * (1.0 / T0_K - 1.0 / kelvin)
    return at_t0_a * (kelvin / T0_K) ** (exponent / ideality) * math.exp(growth)


def diode_current(
    voltage: float,
    temperature: float,
    *,
    series_resistance: float = 4.8,
    saturation_a: float = 2.52e-9,
    ideality: float = 1.752,
    gap_ev: float = 1.11,
    exponent: float = 3.0,
) -> float:
    """Return the current in A of a diode in series with `series_resistance` (ohm) at `voltage` (V), `temperature` (K).

    The defaults are the demo bench's diode, its 4.7 ohm resistor and the 0.1 ohm shunt of its ammeter.
    Exact in the sense of the closed form i = (n Vt / R) W(z) - Is, ln z = ln(Is R / (n Vt)) + (V + Is R) / (n Vt),
    with Lambert's W from Newton's method on w + ln w = ln z, which cannot overflow.
    Source: Banwell and Jayakumar, Electronics Letters 36 (2000) 291.
    """
    saturation = saturation_current(temperature, saturation_a, ideality, gap_ev, exponent)
    scale = ideality * BOLTZMANN_V_PER_K * temperature
    if series_resistance == 0:
        return saturation * math.expm1(voltage / scale)
    drop = saturation * series_resistance
    log_z = math.log(drop / scale) + (voltage + drop) / scale
    return scale / series_resistance * _lambert_w_of_exp(log_z) - saturation


def _lambert_w_of_exp(log_z: float) -> float:
    """Solve w + ln w = `log_z` for w > 0."""
    if log_z < -700:
        return 0.0
    w = math.exp(log_z) if log_z < 0 else max(log_z, 1.0)
    for _ in range(50):
        step = w * (log_z - w - math.log(w)) / (1.0 + w)
        w = max(w + step, 0.1 * w)
        if abs(step) <= 4e-16 * w:
            break
    return w

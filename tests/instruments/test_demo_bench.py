import asyncio
import threading
import time

import pytest

from labnb.core import CommandError, InstrumentError, LimitError, LinkError, LinkTimeout
from labnb.instruments import (
    DemoBench,
    Instrument,
    Multimeter,
    PowerSupply,
    connect,
    connect_async,
    demo,
    live_instruments,
)
from labnb.sim import DMM_ADDRESS, PSU_ADDRESS, Bench, diode_current


def test_a_script_measures_a_diode(lab: DemoBench):
    lab.psu.channel(1).set(voltage=0.7, current_limit=0.1).on()
    reading = lab.dmm.measure_current_dc()
    assert reading.unit == "A"
    assert abs(reading.timestamp - time.time()) < 5
    assert reading.values == pytest.approx(diode_current(0.7, 300.0), rel=2e-3)


async def test_a_coroutine_measures_the_same(lab: DemoBench):
    await lab.psu.channel(1).set(voltage=0.7, current_limit=0.1).on()
    assert (await lab.dmm.measure_current_dc()).values == pytest.approx(diode_current(0.7, 300.0), rel=2e-3)
    assert await lab.psu.channel(1).get_voltage() == pytest.approx(0.7, abs=2e-3)
    assert await lab.psu.channel(1).get_current() == pytest.approx(diode_current(0.7, 300.0), abs=2e-3)
    assert await lab.psu.channel(1).get_output_state() is True


async def test_a_plain_cell_measures_the_same(lab: DemoBench):
    lab.psu.channel(1).set(voltage=0.7, current_limit=0.1).on()
    reading = lab.dmm.measure_current_dc()
    await lab.psu.channel(1).on()
    assert reading.values == pytest.approx(diode_current(0.7, 300.0), rel=2e-3)


def test_a_multimeter_is_configured_once_per_kind_of_reading(lab: DemoBench):
    assert lab.dmm.measure_resistance().unit == "Ohm"
    lab.dmm.measure_voltage_dc()
    assert lab.dmm.query("FUNC?").result() == '"VOLT"'
    lab.dmm.measure_current_dc(range=0.1, nplc=10)
    assert float(lab.dmm.query("CURR:NPLC?").result()) == 10
    assert float(lab.dmm.query("CURR:RANG?").result()) == 0.1
    lab.dmm.write("CONF:VOLT:DC")
    lab.dmm.measure_current_dc(range=0.1, nplc=10)
    assert lab.dmm.query("FUNC?").result() == '"CURR"'


def test_a_multimeter_refuses_what_makes_no_sense(lab: DemoBench):
    with pytest.raises(LimitError, match=r"nplc"):
        lab.dmm.measure_voltage_dc(nplc=0)
    with pytest.raises(LimitError, match=r"range"):
        lab.dmm.measure_voltage_dc(range=-1)


def test_an_overload_reads_as_infinite(lab: DemoBench):
    lab.psu.channel(1).set(voltage=5, current_limit=0.5).on()
    assert lab.dmm.measure_current_dc(range=0.001).values == float("inf")


def test_the_instruments_own_complaint_is_raised(lab: DemoBench):
    with pytest.raises(CommandError, match=r"-113"):
        lab.psu.write("NONSENSE 1")
    lab.psu.channel(1).set(voltage=1)


def test_making_safe_puts_the_outputs_off_at_the_instrument(lab: DemoBench, bench: Bench):
    lab.psu.channel(1).set(voltage=1).on()
    lab.oven.heater.on()
    assert bench["psu"].output(1)
    assert bench["oven"].output()
    for instrument in (lab.psu, lab.dmm, lab.oven):
        instrument.make_safe()
    assert not bench["psu"].output(1)
    assert not bench["oven"].output()


@pytest.mark.parametrize("kind", ["timeout", "truncate", "garbage"])
def test_a_disturbance_does_not_keep_the_output_on(lab: DemoBench, bench: Bench, kind):
    lab.psu.channel(1).set(voltage=1).on()
    bench.fault("psu", kind, match=r"OUTP OFF|SYST:ERR")
    lab.psu.make_safe()
    assert not bench["psu"].output(1)


def test_an_unplugged_supply_is_told_and_not_hidden(lab: DemoBench, bench: Bench):
    lab.psu.channel(1).set(voltage=1).on()
    bench.fault("psu", "disconnect")
    with pytest.raises(LinkError, match=r"psu may still be on"):
        lab.psu.make_safe()
    bench.reconnect("psu")


def test_connecting_again_changes_no_output(lab: DemoBench, bench: Bench, bench_name: str):
    lab.psu.channel(1).set(voltage=1).on()
    lab.psu.close()
    demo(bench_name)
    assert bench["psu"].output(1)
    demo(bench_name).psu.close()


def test_setting_the_oven_does_not_heat_it(lab: DemoBench, bench: Bench):
    lab.oven.setpoint.set(320)
    assert not bench["oven"].output()
    with pytest.raises(InstrumentError, match=r"heater is off; oven.heater.on\(\)"):
        lab.oven.settle()


def test_a_script_waits_for_the_oven(lab: DemoBench):
    lab.oven.setpoint.set(320)
    lab.oven.heater.on()
    lab.oven.settle()
    assert lab.oven.temperature.get() == pytest.approx(320, abs=0.1)


async def test_a_coroutine_waits_for_the_oven_and_others_get_through(lab: DemoBench):
    await lab.oven.setpoint.set(320)
    await lab.oven.heater.on()
    settling = asyncio.ensure_future(lab.oven.settle())
    await lab.oven.temperature.get()
    await settling
    assert await lab.oven.temperature.get() == pytest.approx(320, abs=0.1)


async def test_a_settling_that_nobody_awaits_is_told(lab: DemoBench):
    with pytest.warns(RuntimeWarning, match=r"nobody waited: oven .*await"):
        lab.oven.settle()


async def test_settling_gives_up_in_time(lab: DemoBench):
    await lab.oven.setpoint.set(320)
    await lab.oven.heater.on()
    with pytest.raises(LinkTimeout, match=r"oven has not become stable within 0 s"):
        await lab.oven.settle(timeout_s=0)


def test_two_threads_never_get_each_others_answers(lab: DemoBench):
    lab.psu.channel(1).set(voltage=1)
    lab.psu.channel(2).set(voltage=2)
    wrong: list[str] = []

    def hammer(channel: int):
        for _ in range(1000):
            answer = lab.psu.query(f"VOLT? (@{channel})").result()
            if float(answer) != channel:
                wrong.append(answer)

    threads = [threading.Thread(target=hammer, args=(channel,)) for channel in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---- connect


def test_the_demo_bench_twice_is_the_same_instruments(lab: DemoBench, bench_name: str):
    again = demo(bench_name)
    assert (again.psu, again.dmm, again.oven) == (lab.psu, lab.dmm, lab.oven)


def test_a_closed_instrument_is_opened_anew(lab: DemoBench, bench_name: str):
    lab.psu.close()
    again = demo(bench_name)
    assert again.psu is not lab.psu
    assert again.psu.channel(1).get_output_state() == False  # noqa: E712  a result, not a bool
    assert lab.psu not in live_instruments()
    assert again.psu in live_instruments()
    again.psu.close()


def test_an_address_alone_finds_its_driver(bench: Bench, bench_name: str):
    dmm = connect(DMM_ADDRESS, visa_library=f"{bench_name}@labnb")
    assert isinstance(dmm, Multimeter)
    assert dmm.name == DMM_ADDRESS
    dmm.close()


def test_an_own_driver_is_used_and_limits_apply_on_connecting_again(bench: Bench, bench_name: str):
    library = f"{bench_name}@labnb"
    psu = connect("keysight/EDU36311A", address=PSU_ADDRESS, visa_library=library, name="psu")
    assert connect(PSU_ADDRESS, visa_library=library, limits={1: {"voltage": (0, 1)}}) is psu
    with pytest.raises(LimitError):
        psu.channel(1).set(voltage=2)
    with pytest.raises(LinkError, match=r"connected as 'psu' \(PowerSupply\), not as Multimeter"):
        connect(PSU_ADDRESS, visa_library=library, driver=Multimeter)
    psu.close()
    plain = connect(PSU_ADDRESS, visa_library=library, driver=Instrument)
    assert type(plain) is Instrument
    plain.close()


async def test_connecting_is_awaited_too(bench: Bench, bench_name: str):
    psu = await connect_async("keysight/EDU36311A", simulate=True, visa_library=f"{bench_name}@labnb", name="psu")
    assert isinstance(psu, PowerSupply)
    assert psu.name == "psu"
    psu.close()


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("keysight/EDU36311B", {"simulate": True}, "did you mean 'keysight/EDU36311A'"),
        ("edu36311a", {"simulate": True}, "keysight/EDU36311A"),
        ("keysight/EDU36311A", {}, "address=.*or simulate=True"),
        ("keysight/E36312A", {"simulate": True}, "simulated bench 'demo@labnb' has no 'E36312A'.*EDU36311A"),
    ],
)
def test_a_key_that_leads_nowhere_says_what_to_do(key, options, message):
    with pytest.raises(InstrumentError, match=message):
        connect(key, **options)


def test_an_address_that_does_not_exist_lists_what_is_seen(bench: Bench, bench_name: str):
    with pytest.raises(LinkError, match=f"GPIB0::3::INSTR.*{PSU_ADDRESS}"):
        connect("GPIB0::3::INSTR", visa_library=f"{bench_name}@labnb")


def test_another_model_at_the_address_is_refused_and_not_kept(bench: Bench, bench_name: str):
    library = f"{bench_name}@labnb"
    with pytest.raises(LinkError, match=r"this is a Keysight Technologies 34470A"):
        connect("keysight/EDU36311A", address=DMM_ADDRESS, visa_library=library)
    connect(DMM_ADDRESS, visa_library=library).close()

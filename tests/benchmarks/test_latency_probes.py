"""What machines tell of themselves: recorded lines and files of the kinds that their makers document."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.stages import cpufreq, hwmon, rapl, thermal_zones
from unichunk.benchmarks.stages.cpufreq import parse_cpufreq
from unichunk.benchmarks.stages.file_probe import EnergyProbe, FileProbe
from unichunk.benchmarks.stages.hwmon import parse_hwmon
from unichunk.benchmarks.stages.line_probe import LineProbe
from unichunk.benchmarks.stages.nvidia_smi import SLOWED, parse_nvidia_smi
from unichunk.benchmarks.stages.rapl import rapl_power
from unichunk.benchmarks.stages.reading import Reading
from unichunk.benchmarks.stages.tegrastats import parse_tegrastats
from unichunk.benchmarks.stages.telemetry import Telemetry, all_probes
from unichunk.benchmarks.stages.telemetry_summary import Sample, telemetry_summary
from unichunk.benchmarks.stages.thermal_zones import parse_thermal

if TYPE_CHECKING:
    from pathlib import Path

ORIN_NX = (
    "07-09-2024 13:31:31 RAM 2448/15523MB (lfb 1x4MB) SWAP 0/7762MB (cached 0MB) CPU [1%@729,0%@1984,off,off] "
    "EMC_FREQ 0%@2133 GR3D_FREQ 12%@[305] NVDEC off NVJPG off VIC off OFA off APE 174 cpu@47.468C soc2@46.343C "
    "soc0@47.781C gpu@46.906C tj@47.781C cv0@-256C VDD_IN 4964mW/5001mW VDD_CPU_GPU_CV 530mW/540mW VDD_SOC 1370mW/1mW"
)
AGX_ORIN = (
    "RAM 18207/62841MB (lfb 466x4MB) SWAP 86/31420MB (cached 0MB) CPU [14%@2188,5%@2112] EMC_FREQ 3%@2133 "
    "GR3D_FREQ 0%@[0,0] VIC 36%@115 APE 174 CPU@52.562C tj@52C VDD_GPU_SOC 2412mW/2412mW VDD_CPU_CV -398mW/-398mW "
    "VIN_SYS_5V0 4707mW/4707mW NC 0mW/0mW VDDQ_VDD2_1V8AO 301mW/301mW"
)
NANO = (
    "RAM 1766/3964MB (lfb 197x4MB) CPU [24%@1224,15%@1224] EMC_FREQ 0% GR3D_FREQ 0% PLL@21C CPU@25C GPU@23.5C "
    "POM_5V_IN 2545/2547 POM_5V_GPU 0/0 POM_5V_CPU 549/529"
)


def told(readings: list[Reading], kind: str) -> dict[str, float]:
    return {reading.name: reading.value for reading in readings if reading.kind == kind}


def test_tegrastats_of_an_orin_nx() -> None:
    readings = parse_tegrastats(ORIN_NX)
    assert told(readings, "power_w") == {"VDD_IN": 4.964, "VDD_CPU_GPU_CV": 0.53, "VDD_SOC": 1.37}
    assert told(readings, "clock_mhz") == {"cpu0": 729.0, "cpu1": 1984.0, "GR3D": 305.0, "EMC": 2133.0}
    assert told(readings, "temperature_c") == {
        "cpu": 47.468,
        "soc2": 46.343,
        "soc0": 47.781,
        "gpu": 46.906,
        "tj": 47.781,
    }


def test_tegrastats_of_an_agx_orin_and_of_an_older_nano() -> None:
    orin, nano = parse_tegrastats(AGX_ORIN), parse_tegrastats(NANO)
    assert told(orin, "power_w") == {
        "VDD_GPU_SOC": 2.412,
        "VDD_CPU_CV": -0.398,
        "VIN_SYS_5V0": 4.707,
        "VDDQ_VDD2_1V8AO": 0.301,
    }
    assert told(orin, "clock_mhz") == {"cpu0": 2188.0, "cpu1": 2112.0, "GR3D": 0.0, "EMC": 2133.0}
    assert told(nano, "power_w") == {"POM_5V_IN": 2.545, "POM_5V_GPU": 0.0, "POM_5V_CPU": 0.549}
    assert told(nano, "clock_mhz") == {"cpu0": 1224.0, "cpu1": 1224.0}


@given(st.text())
def test_lines_of_another_kind_tell_nothing(line: str) -> None:
    assert all(isinstance(reading, Reading) for reading in parse_tegrastats(line) + parse_nvidia_smi(line))
    assert parse_nvidia_smi("index, power.draw, clocks.sm, clocks.mem, temperature.gpu, throttle") == []


def test_nvidia_smi_tells_of_each_card_what_that_card_tells() -> None:
    readings = parse_nvidia_smi("0, 69.52, 1980, 2619, 33, 0x0000000000000021")
    assert told(readings, "power_w") == {"GPU 0": 69.52}
    assert told(readings, "clock_mhz") == {"GPU 0 SM": 1980.0, "GPU 0 memory": 2619.0}
    assert told(readings, "temperature_c") == {"GPU 0": 33.0}
    slowed = told(readings, "throttled")
    assert {name for name, value in slowed.items() if value} == {"GPU 0 software thermal slowdown"}
    assert len(slowed) == len(SLOWED)
    partly = parse_nvidia_smi("1, [N/A], [N/A], [Not Supported], 41, [Unknown Error]")
    assert [(reading.kind, reading.name) for reading in partly] == [("temperature_c", "GPU 1")]


@pytest.mark.parametrize("mask", ["0x1", "0x2", "0x10", "0x100", "0x0"])
def test_an_idle_card_and_chosen_clocks_are_no_throttling(mask: str) -> None:
    assert not any(told(parse_nvidia_smi(f"0, 10, 210, 405, 30, {mask}"), "throttled").values())


def test_hwmon_tells_temperatures_and_power_by_their_labels() -> None:
    folder = "/sys/class/hwmon/hwmon1"
    files = {
        f"{folder}/name": "ina3221\n",
        f"{folder}/in1_label": "VDD_IN\n",
        f"{folder}/in1_input": "5000\n",
        f"{folder}/curr1_input": "1200\n",
        f"{folder}/curr2_input": "7\n",
        "/sys/class/hwmon/hwmon0/name": "k10temp\n",
        "/sys/class/hwmon/hwmon0/temp1_input": "45250\n",
        "/sys/class/hwmon/hwmon0/temp1_label": "Tctl\n",
        "/sys/class/hwmon/hwmon2/power1_average": "15000000\n",
        "/sys/class/hwmon/hwmon2/power1_input": "99000000\n",
        "/sys/class/hwmon/hwmon2/temp1_input": "unknown\n",
    }
    readings = parse_hwmon(files)
    assert told(readings, "temperature_c") == {"k10temp Tctl": 45.25}
    assert told(readings, "power_w") == {"ina3221 VDD_IN": 6.0, "hwmon2 power1": 15.0}


def test_a_processor_that_cools_by_being_slower_is_throttled_and_a_fan_is_not() -> None:
    zone, device = "/sys/class/thermal/thermal_zone", "/sys/class/thermal/cooling_device"
    readings = parse_thermal(
        {
            f"{zone}0/type": "cpu-thermal\n",
            f"{zone}0/temp": "47468\n",
            f"{zone}1/type": "cv0-thermal\n",
            f"{zone}1/temp": "-256000\n",
            f"{device}0/type": "pwm-fan\n",
            f"{device}0/cur_state": "3\n",
            f"{device}1/type": "Processor\n",
            f"{device}1/cur_state": "2\n",
            f"{device}2/type": "cpufreq-cpu4\n",
            f"{device}2/cur_state": "0\n",
        }
    )
    assert told(readings, "temperature_c") == {"cpu-thermal (thermal_zone0)": 47.468}
    assert told(readings, "throttled") == {"Processor (cooling_device1)": 1.0, "cpufreq-cpu4 (cooling_device2)": 0.0}


def test_clocks_and_counters_of_cores() -> None:
    folder = "/sys/devices/system/cpu/cpu3"
    readings = parse_cpufreq(
        {
            f"{folder}/cpufreq/scaling_cur_freq": "3400000\n",
            f"{folder}/thermal_throttle/core_throttle_count": "12\n",
            f"{folder}/thermal_throttle/package_throttle_count": "<unknown>\n",
        }
    )
    assert readings == [Reading("clock_mhz", "cpu3", 3400.0), Reading("throttle_events", "cpu3 core", 12)]


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.floats(0.1, 100))
def test_energy_counters_may_begin_anew(start: int, used: int, seconds: float) -> None:
    largest = 10**12
    zone = "/sys/class/powercap/intel-rapl:0"
    names = {f"{zone}/name": "package-0\n", f"{zone}/max_energy_range_uj": f"{largest}\n"}
    before = {**names, f"{zone}/energy_uj": str(start)}
    after = {**names, f"{zone}/energy_uj": str((start + used) % (largest + 1))}
    (reading,) = rapl_power(before, after, seconds)
    assert reading.name == "package-0 (intel-rapl:0)"
    assert reading.value == pytest.approx(used / 1e6 / seconds)


def test_counters_that_nobody_may_read_tell_no_power() -> None:
    zone = "/sys/class/powercap/intel-rapl:0"
    assert rapl_power({f"{zone}/name": "package-0"}, {f"{zone}/name": "package-0"}, 1.0) == []
    assert rapl_power({f"{zone}/energy_uj": "5"}, {f"{zone}/energy_uj": "3"}, 1.0) == []


def test_file_probes_read_below_their_root_and_say_what_is_missing(tmp_path: Path) -> None:
    for patterns, parse in (
        (hwmon.PATTERNS, parse_hwmon),
        (thermal_zones.PATTERNS, parse_thermal),
        (cpufreq.PATTERNS, parse_cpufreq),
    ):
        assert patterns[0] in FileProbe("source", patterns, parse, tmp_path).start()
    assert EnergyProbe("RAPL", rapl.PATTERNS, tmp_path).start() == "no energy counters"
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("x86_pkg_temp\n")
    (zone / "temp").write_text("51000\n")
    probe = FileProbe("thermal", thermal_zones.PATTERNS, parse_thermal, tmp_path)
    assert probe.start() == ""
    assert probe.read() == [Reading("temperature_c", "x86_pkg_temp (thermal_zone0)", 51.0)]


def test_an_energy_probe_tells_power_from_its_second_look_on(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    probe = EnergyProbe("RAPL", rapl.PATTERNS, tmp_path)
    assert "root" in probe.start()
    (zone / "energy_uj").write_text("1000\n")
    assert probe.start() == ""
    time.sleep(0.01)
    (zone / "energy_uj").write_text("2000\n")
    (reading,) = probe.read()
    assert 0 < reading.value <= 0.1


def test_a_program_that_is_not_there_or_says_nothing_tells_nothing() -> None:
    assert LineProbe([("no-such-program-here",)], parse_tegrastats).start() == "no-such-program-here is not installed"
    assert LineProbe([(sys.executable, "-c", "print('hello')")], parse_tegrastats).start().endswith("tells nothing")


def test_a_program_is_followed_line_by_line_and_ended() -> None:
    script = f"import time\nprint({ORIN_NX!r}, flush=True)\ntime.sleep(60)"
    probe = LineProbe([(sys.executable, "-c", script)], parse_tegrastats)
    assert probe.start() == ""
    assert told(probe.read(), "power_w")["VDD_IN"] == 4.964
    probe.stop()
    assert probe.read() == []


FAKE_NVIDIA_SMI = """#!/bin/sh
case "$1" in
    %s) echo 'Field "x" is not a valid field to query.'; exit 2 ;;
    *reasons*) echo "0, 10.00, 210, 405, 30, 0x20" ;;
    *) echo "0, 10.00, 210, 405, 30" ;;
esac
exec sleep 60
"""


@pytest.mark.parametrize(
    ("unknown", "tells_reasons"),
    [("*nothing*", True), ("*event_reasons*", True), ("*throttle_reasons*", True), ("*reasons*", False)],
)
def test_one_field_that_a_card_does_not_know_silences_no_other(
    unknown: str, tells_reasons: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(FAKE_NVIDIA_SMI % unknown)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (probe,) = (probe for probe in all_probes() if probe.name == "nvidia-smi")
    assert probe.start() == ""
    readings = probe.read()
    probe.stop()
    assert told(readings, "power_w") == {"GPU 0": 10.0}
    assert any(told(readings, "throttled").values()) == tells_reasons


def sample(at_s: float, kind: str, value: float, name: str = "x") -> Sample:
    return Sample(at_s, "source", Reading(kind, name, value))  # type: ignore[arg-type]


def test_a_summary_says_how_it_began_and_ended_and_by_whom_nothing_was_told() -> None:
    samples = [sample(t, "power_w", value) for t, value in enumerate((5.0, 9.0, 7.0, 6.0))]
    spans = {"a": [(0.5, 1.5), (2.5, 3.5)], "b": [(10, 11)]}
    summary = telemetry_summary(samples, {"RAPL": "no energy counters"}, spans, 0.25)
    numbers = {"begin": 5.0, "end": 6.0, "min": 5.0, "p50": 6.5, "max": 9.0, "n": 4}
    assert summary["power_w"] == {"source: x": numbers}
    assert summary["power_by_case_w"]["a"] == {"source: x": 7.5}
    assert not is_measured(summary["power_by_case_w"]["b"])
    assert not is_measured(summary["clock_mhz"])
    assert not is_measured(summary["temperature_c"])
    assert not is_measured(summary["throttling"])
    assert summary["not_told"] == {"RAPL": "no energy counters"}


def test_power_since_before_a_visit_began_is_not_the_visits() -> None:
    # Each number is the mean power since the one before: 2 W until 10 s, then 8 W until 13 s, then 2 W again.
    watt = {10: 2.0, 11: 8.0, 12: 8.0, 13: 8.0, 14: 2.0}
    samples = [sample(at_s + 0.1, "power_w", value) for at_s, value in watt.items()]
    summary = telemetry_summary(samples, {}, {"a": [(10.05, 13.2)], "b": [(13.2, 13.9)], "c": [(9.5, 10.4)]}, 1.0)
    assert summary["power_by_case_w"].pop("a") == {"source: x": 8.0}
    assert [is_measured(case) for case in summary["power_by_case_w"].values()] == [False, False]
    assert not is_measured(telemetry_summary([], {}, {"a": [(0.0, 9.0)]}, 1.0)["power_by_case_w"])


def test_throttling_is_seen_where_a_flag_was_up_or_a_counter_rose() -> None:
    calm = [sample(t, "throttled", 0.0) for t in range(3)] + [sample(t, "throttle_events", 7) for t in range(3)]
    assert telemetry_summary(calm, {}, {}, 1.0)["throttling"] == {"seen": False, "by": {}}
    flag = telemetry_summary([*calm, sample(3, "throttled", 1.0)], {}, {}, 1.0)["throttling"]
    assert flag == {"seen": True, "by": {"source: x": "in 1 of 4 looks"}}
    rose = telemetry_summary([*calm, sample(3, "throttle_events", 9, "x")], {}, {}, 1.0)["throttling"]
    assert rose == {"seen": True, "by": {"source: x": "2 times"}}


class Scripted:
    """A probe that tells one power, and why not."""

    def __init__(self, name: str, why: str = "") -> None:
        self.name, self.why, self.stopped = name, why, False

    def start(self) -> str:
        return self.why

    def read(self) -> list[Reading]:
        return [Reading("power_w", "rail", 3.0)]

    def stop(self) -> None:
        self.stopped = True


def test_telemetry_asks_those_who_tell_and_ends_them() -> None:
    telling, silent = Scripted("a"), Scripted("b", "not here")
    with Telemetry([telling, silent], period_s=0.005) as telemetry:
        begun = time.monotonic()
        time.sleep(0.05)
        telemetry.span("case", begun, time.monotonic())
    summary = telemetry.summary()
    assert summary["power_w"]["a: rail"]["n"] >= 3
    assert summary["power_by_case_w"] == {"case": {"a: rail": 3.0}}
    assert summary["not_told"] == {"b": "not here"}
    assert (telling.stopped, silent.stopped) == (True, False)

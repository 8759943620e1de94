"""A driver process with the fake device: `python -m tests.drivers.fake_driver ENDPOINT [record=PATH] [NAME=NUMBER]`."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

from tests.drivers.fake_device import FakeDevice
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.drivers import process

if __name__ == "__main__":
    device = FakeDevice(load_spec("so101"))
    record = None
    for argument in sys.argv[2:]:
        name, _, value = argument.partition("=")
        if name == "record":
            record = Path(value)
        else:
            setattr(device, name, float(value))
    with mock.patch.object(process, "_device", return_value=device):
        sys.exit(process.run_driver("so101", sys.argv[1], simulated=True, record=record))

"""Hardware drivers: from what a spec names, `module:Class`, to a device."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from unichunk.embodiments.drivers.device import RobotDevice
from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.errors import EmbodimentError

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec

_MEMBERS: Final = tuple(name for name in vars(RobotDevice) if not name.startswith("_"))


def hardware_device(spec: EmbodimentSpec) -> RobotDevice:
    """Make the device that a spec's hardware driver is for; it is not started.

    Args:
        spec: The robot. `spec.driver` is `module:Class`: a module that can be imported, or the path of a `.py` file,
            whatever its name is; its folder is then searched, last, for what it imports. The class is a
            `RobotDevice`, made from the spec.

    Raises:
        DriverError: Where there is no driver, or it cannot be made; one line with what to do.
    """
    if spec.driver is None:
        raise DriverError(
            f"there is no hardware driver for {spec.name}: add --sim for the simulated robot, or name a class as "
            "`driver` in its spec"
        )
    made = _class(spec)
    try:
        device: RobotDevice = made(spec)
    except EmbodimentError:
        raise
    except Exception as error:
        raise DriverError(f"driver {spec.driver}: cannot be made from the spec ({_one_line(error)})") from error
    missing = [name for name in _MEMBERS if not _has(device, name)]
    if missing:
        raise DriverError(
            f"driver {spec.driver}: does not fit RobotDevice of unichunk.embodiments.drivers.device, it lacks "
            f"{', '.join(missing)}"
        )
    return device


def _class(spec: EmbodimentSpec) -> Any:
    assert spec.driver is not None
    module_name, _, class_name = spec.driver.rpartition(":")
    found = getattr(_module(spec.driver, module_name), class_name, None)
    if not inspect.isclass(found):
        what = "nothing" if found is None else f"a {type(found).__name__}"
        raise DriverError(f"driver {spec.driver}: expected a class by that name in the module, found {what}")
    return found


def _module(driver: str, name: str) -> Any:
    try:
        return _module_of_file(Path(name)) if name.endswith(".py") else import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise DriverError(
                f"driver {driver}: there is no module {error.name}; expected one beside the spec, or one that can be "
                "imported"
            ) from None
        raise DriverError(f"driver {driver}: it needs {error.name}, which is not installed") from error
    except Exception as error:
        raise DriverError(f"driver {driver}: cannot be imported ({_one_line(error)})") from error


def _module_of_file(path: Path) -> Any:
    """The module in a file, under a name that no other module has: the file's may be that of a standard one."""
    name = f"unichunk_driver_{path.stem}"
    found = spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    # Known by its name before it runs: dataclasses look their module up.
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _has(device: object, name: str) -> bool:
    """Whether a device has a member; looked up, not asked for: a property may need hardware that is not open yet."""
    missing = object()
    return inspect.getattr_static(device, name, missing) is not missing or hasattr(type(device), "__getattr__")


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")

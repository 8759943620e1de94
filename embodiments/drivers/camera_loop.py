"""One camera's thread: capture, pair with the state measured closest, publish."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import zmq

from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.drivers.pace import Pace
from unichunk.embodiments.link.codec import encode
from unichunk.embodiments.link.messages import Frame

if TYPE_CHECKING:
    from unichunk.embodiments.drivers.device import CameraSource, Capture
    from unichunk.embodiments.drivers.state_history import StateHistory
    from unichunk.embodiments.link.sockets import Socket
    from unichunk.embodiments.spec import Camera


class CameraLoop:
    """Runs at the camera's frame rate, in its own thread.

    Args:
        name: The camera's.
        camera: What the spec says of it.
        source: Where pictures come from.
        socket: Where frames are published.
        history: Where states are found.
    """

    def __init__(self, name: str, camera: Camera, source: CameraSource, socket: Socket, history: StateHistory) -> None:
        self._name = name
        self._camera = camera
        self._source = source
        self._socket = socket
        self._history = history
        self.published = 0
        """Frames published."""
        self.opened = threading.Event()
        """Set when the camera is open."""

    def run(self, halt: threading.Event) -> None:
        """Run until halted."""
        self._source.open()
        self.opened.set()
        try:
            pace = Pace(self._camera.fps)
            while not halt.is_set():
                capture = self._source.capture()
                if capture is not None:
                    self._publish(capture)
                pace.wait()
        finally:
            self._source.close()

    def _publish(self, capture: Capture) -> None:
        expected = (self._camera.height, self._camera.width, 3)
        if capture.image.shape != expected or capture.image.dtype != np.uint8:
            raise DriverError(
                f"camera {self._name!r} gives {capture.image.dtype} of shape {capture.image.shape}, "
                f"expected uint8 of shape {expected}"
            )
        state = self._history.closest(capture.stamp_ns)
        if state is None:
            return
        frame = Frame(sequence=self.published, stamp_ns=capture.stamp_ns, image=capture.image, state=state)
        self._socket.send(encode(frame), zmq.NOBLOCK)
        self.published += 1

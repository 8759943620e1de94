"""openpi's own client, in an environment of its own: `python openpi_own_client.py URL [SECONDS]`.

What came back goes to its standard output, one JSON object.
"""

from __future__ import annotations

import functools
import json
import sys
import time

import numpy as np
import websockets.sync.client
from openpi_client.websocket_client_policy import WebsocketClientPolicy  # type: ignore[import-not-found]


def main(url: str, slow_s: float) -> None:
    if slow_s:
        # The inference is longer than the client's patience with its pings, as one of 40 s is by default.
        websockets.sync.client.connect = functools.partial(
            websockets.sync.client.connect, ping_interval=0.1, ping_timeout=0.5
        )
        policy = WebsocketClientPolicy(url)
        began = time.monotonic()
        answer = policy.infer({"sleep_s": slow_s, "echo": 7})
        sys.stdout.write(json.dumps({"echo": answer["echo"], "seconds": time.monotonic() - began}))
        return
    policy = WebsocketClientPolicy(url, api_key="anything")
    metadata = policy.get_server_metadata()
    observation = metadata["example_observation"]
    shapes, timings = [], []
    for _ in range(2):
        result = policy.infer(observation)
        shapes.append(list(np.shape(result["actions"])))
        timings.append(sorted(result["server_timing"]))
    try:
        policy.infer({})
        error = ""
    except RuntimeError as caught:
        error = str(caught)
    sys.stdout.write(
        json.dumps(
            {
                "horizon": metadata["action_horizon"],
                "shapes": shapes,
                "timings": timings,
                "policy_timing": sorted(result["policy_timing"]),
                "finite": bool(np.isfinite(result["actions"]).all()),
                "error": error,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)

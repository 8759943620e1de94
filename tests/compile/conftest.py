"""Before numpy is imported: its BLAS library on one thread.

Products as small as these gain nothing from more, and on a busy machine its threads wait for each other, twenty times
as long as they compute.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

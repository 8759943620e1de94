"""The campaign as it runs: ties the records, the robots, the clocks and the roles together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final, Literal

from unichunk.server.evaluation.clock_jumps import ClockWatch
from unichunk.server.evaluation.drives import Drives
from unichunk.server.evaluation.errors import EvaluationError, NotAllowed, NotFound, NotNow, StoreUnavailable
from unichunk.server.evaluation.leases import Leases
from unichunk.server.evaluation.ledger import commands as c
from unichunk.server.evaluation.ledger.actor import SERVER, Actor
from unichunk.server.evaluation.ledger.rules import POLICY_LOST
from unichunk.server.evaluation.ledger.trial import TrialState
from unichunk.server.evaluation.planning.load import policy_of
from unichunk.server.evaluation.rating_order import next_video, video_id
from unichunk.server.evaluation.recorded_video import RecordedVideo
from unichunk.server.evaluation.recorder import Recorder, checked
from unichunk.server.evaluation.server_keys import server_key
from unichunk.server.evaluation.shown import Shown
from unichunk.server.evaluation.store.clocks import now
from unichunk.server.evaluation.views import Overview
from unichunk.server.serving.identity import Right


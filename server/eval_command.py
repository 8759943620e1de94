"""`unichunk eval`: blinded evaluation of policies on robots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

import tyro

from unichunk.server.eval_demo_command import EvalDemo
from unichunk.server.eval_look_command import EvalLook
from unichunk.server.eval_plan_command import EvalPlan
from unichunk.server.eval_power_command import EvalPower
from unichunk.server.eval_report_command import EvalReport
from unichunk.server.eval_robot_command import EvalRobot
from unichunk.server.eval_serve_command import EvalServe
from unichunk.server.eval_status_command import EvalStatus
from unichunk.server.eval_unblind_command import EvalUnblind
from unichunk.server.eval_verify_command import EvalVerify

Action: TypeAlias = (
    Annotated[EvalPower, tyro.conf.subcommand("power")]
    | Annotated[EvalPlan, tyro.conf.subcommand("plan")]
    | Annotated[EvalServe, tyro.conf.subcommand("serve")]
    | Annotated[EvalRobot, tyro.conf.subcommand("robot")]
    | Annotated[EvalStatus, tyro.conf.subcommand("status")]
    | Annotated[EvalLook, tyro.conf.subcommand("look")]
    | Annotated[EvalVerify, tyro.conf.subcommand("verify")]
    | Annotated[EvalUnblind, tyro.conf.subcommand("unblind")]
    | Annotated[EvalReport, tyro.conf.subcommand("report")]
    | Annotated[EvalDemo, tyro.conf.subcommand("demo")]
)


@dataclass
class Eval:
    """Compare policies on robots so that nobody can favour one: frozen plan, hidden policies, signed records.

    power and plan before the first trial, serve and robot during the trials, status and verify at any time, look for a
    look at the sequential test, unblind and report once every trial is scored; demo does all of it with a simulated
    robot.

    Try: unichunk eval demo --out demo
    """

    action: Annotated[Action, tyro.conf.arg(name="")]

    def __call__(self) -> int:
        """Do it; return the exit status."""
        return self.action()

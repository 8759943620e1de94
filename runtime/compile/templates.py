"""The words around an instruction, as published with Being-H0.5."""

from __future__ import annotations

from typing import Final

SYSTEM_MESSAGES: Final = {
    "internvl2_5": (
        "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
    ),
}
"""Conversation template -> system message."""

INSTRUCTIONS: Final = {
    "long": ("According to the instruction '{task_description}', what's the micro-step actions in the next {k} steps?"),
    "short": "{task_description}",
}
"""Prompt template -> text; {k} stands for the rows of a chunk."""

"""The page that goes with the dataset: what it is, and what its columns mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unichunk.server.evaluation.report.episode import Episode
    from unichunk.server.evaluation.results import Results


def card(results: Results, episodes: int, episode: Episode) -> str:
    """Markdown, with the head that dataset hubs read.

    Args:
        results: What was recorded.
        episodes: How many there are.
        episode: Any one of them.
    """
    plan, recorded = results.plan, episode.recorded
    cameras = ", ".join(f"`observation.images.{name}`" for name in episode.pictures) or "none were recorded"
    return f"""---
task_categories:
- robotics
tags:
- LeRobot
configs:
- config_name: default
  data_files: data/*/*.parquet
---

# Trials of the blinded evaluation “{plan.campaign.name}”

LeRobot dataset, format v3.0: {episodes} episodes of the {len(results.trials)} trials that count. Void trials are left
out, and so are trials of which nothing that can be read was recorded. Load it with

```python
from lerobot.datasets.lerobot_dataset import LeRobotDataset

dataset = LeRobotDataset("{_name(plan.campaign.name)}", root="path/of/this/folder")
```

| column | what it is |
|---|---|
| `observation.state` | newest measured joints at the tick, [rad], in the order of `names` |
| `action` | joint targets that were handed out for the tick, [rad] |
| `observation.images.*` | newest recorded picture at the tick, JPEG ({cameras}) |
| `next.done`, `next.success` | true in an episode's last row; where the trial was judged a success |
| `policy`, `layout` | names, in every row |

There is one row for each action tick ({recorded.action_hz:g} a second). Pictures were recorded {recorded.fps:g} times a
second, so several rows show the same one: policies saw newer ones.

`meta/episodes` has, for each episode, `trial` (opaque id), `policy`, `layout`, `success` and `rubric` (a digit for each
sub-task), too. Campaign {plan.campaign_id}, commitment {plan.commitment}, log {results.log_head}.
"""


def _name(campaign: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in campaign.lower()).split())

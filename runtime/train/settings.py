"""What can be chosen of a training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes:
        minutes: Wall-clock budget of the loop, [min].
        image_mean, image_std: Normalization of images after division by 255, per channel.
        most_steps: Steps after which it ends even within the budget.
        learning_rate: Its peak; a short warm-up, then a cosine to zero over the budget.
        warm_up_steps: Length of the warm-up.
        average: Decay of the moving average of the weights.
        goal_weight: Weight of the auxiliary loss that asks the image tokens where the goals are.
        other_weight: Weight of the velocity in slots that are not the robot's own, whose values stay zero.
        imbalance_weight: Weight of the imbalance of a mixture's experts.
        refined_share: Share of the samples that are refinement rounds (MPG), where the checkpoint has it.
        anchor_noise: Standard deviation of what sets the anchor of those off the clean rows, normalized.
        pixel_noise: Standard deviation of noise on normalized pixels.
        state_noise: Standard deviation of noise on normalized state values.
        half: Whether products are computed in bfloat16; weights, gradients and sums stay float32.
        report_every_s: Time between two reports, [s].
        keep_every_s: Time between two copies of the averaged weights that are handed out, [s].
    """

    minutes: float
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]
    most_steps: int | None = None
    learning_rate: float = 1.0e-3
    warm_up_steps: int = 200
    average: float = 0.998
    goal_weight: float = 0.5
    other_weight: float = 0.1
    imbalance_weight: float = 0.05
    refined_share: float = 0.4
    anchor_noise: float = 0.1
    pixel_noise: float = 0.06
    state_noise: float = 0.03
    half: bool = False
    report_every_s: float = 30.0
    keep_every_s: float = 600.0

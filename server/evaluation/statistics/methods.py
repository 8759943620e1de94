"""What is computed how, and whose method it is: the last page of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.statistics import fair_labels, matched_pairs
from unichunk.server.evaluation.statistics.document import Method

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.campaign import Campaign

_ALWAYS: Final = (
    Method(
        name="Success rates",
        how="Successes of all scored trials. Wilson's score interval holds its level on average; Clopper and Pearson's "
        "holds it for every true rate and is wider.",
        source="Wilson 1927; Clopper & Pearson 1934",
    ),
    Method(
        name="Primary test",
        how="Cochran-Mantel-Haenszel with layouts as strata, without correction for continuity: over all policies as "
        "one test (general association), and for each declared pair with Holm's correction. The pooled odds ratio is "
        "Mantel and Haenszel's, its interval that of Robins, Breslow and Greenland.",
        source="Mantel & Haenszel 1959; Landis, Heyman & Koch 1978; Robins, Breslow & Greenland 1986; Holm 1979",
    ),
    Method(
        name="Randomization test",
        how="The primary statistic judged by dealing policies out anew, the way the plan did it, to trials whose "
        "outcomes stay as they are; fixed seed. Valid under drift for every randomization, also the paper's draw, for "
        "which the primary test rejects too often when success changes over the session.",
        source="Fisher 1935; Edgington 1980; Phipson & Smyth 2010",
    ),
    Method(
        name="Exact tests",
        how="With layouts as strata: the conditional distribution of the first policy's successes. With layouts "
        "pooled: Barnard's unconditional test (pooled Wald statistic) and Fisher's. Each is a family of its own for "
        "Holm's correction.",
        source="Barnard 1945; Fisher 1935; Holm 1979",
    ),
    Method(
        name="Difference of success",
        how="First less second, layouts pooled, which a plan with as many trials in every cell permits; hybrid score "
        "interval.",
        source="Newcombe 1998, method 10",
    ),
    Method(
        name="Posteriors",
        how="Beta distributions from Jeffreys' prior, layouts pooled; probabilities by quadrature.",
        source="Jeffreys 1946",
    ),
    Method(
        name="Drift",
        how="Success by quarters of the session; trend of success on order within cells of policy and layout.",
        source="Mantel 1963",
    ),
    Method(
        name="Void trials",
        how="Exact test of all tables with the observed margins.",
        source="Freeman & Halton 1951",
    ),
)
_PREFERENCES: Final = Method(
    name="Preferences",
    how="Maximum likelihood by groups of policies that were compared; a tie is half a win for both. Where a strength "
    "would be infinite, half a win is added to both sides of every compared pair.",
    source="Bradley & Terry 1952; Ford 1957",
)
_AGREEMENT: Final = Method(
    name="Agreement",
    how="Cohen's kappa of operator and rater with its large-sample interval; Krippendorff's alpha over all judgements.",
    source="Cohen 1960; Fleiss, Cohen & Everitt 1969; Krippendorff 2011",
)
_BLINDING: Final = Method(
    name="Blinding",
    how="Bang's index per policy, for k policies: share of correct guesses less that of wrong ones / (k - 1); 0 as by "
    "chance. James' index over all: 1 complete blinding, 0.5 as by chance, 0 none. Recognition: all orders of the "
    "guesses are equally likely if nobody recognizes anything.",
    source="Bang, Ni & Davis 2004; James, Bloch, Lee, Kraemer & Fuller 1996",
)


def methods_of(campaign: Campaign, *, preferences: bool, agreement: bool, blinding: bool) -> tuple[Method, ...]:
    """Those that this analysis used.

    Args:
        campaign: Says whether the sequential test was wanted, and how trials were put in order.
        preferences: Whether there were any.
        agreement: Whether anything was scored twice.
        blinding: Whether operators guessed.
    """
    chosen = list(_ALWAYS)
    if campaign.analysis.sequential:
        chosen.insert(4, _sequential(campaign.randomization))
    chosen += [method for method, wanted in ((_PREFERENCES, preferences), (_AGREEMENT, agreement)) if wanted]
    return (*chosen, *([_BLINDING] if blinding else []))


def _sequential(randomization: Randomization) -> Method:
    if randomization is Randomization.INDEPENDENT_DRAW:
        return Method(
            name="Anytime-valid test",
            how="A bet on every fair label: while both policies lack trials on a layout, which of them a trial got is "
            "a fair coin, among successes and among failures. The capital is the e-value; that it ever reaches 1 / "
            f"alpha has at most chance alpha. Null hypothesis: {fair_labels.NULL}.",
            source="Ville 1939; Shafer 2021",
        )
    return Method(
        name="Anytime-valid test",
        how="A bet on every pair of trials of one replicate and layout that came out differently: which policy was the "
        "better one is a fair coin by the plan's random order. The capital is the e-value; that it ever reaches "
        "1 / alpha has at most chance alpha. Not a test of equal rates on average over layouts. Null hypothesis: "
        f"{matched_pairs.NULL}. The odds ratio's confidence sequence also assumes one ratio in all pairs; that of the "
        "difference assumes nothing, and covers the mean so far.",
        source="Ville 1939; Robbins 1970; Turner, Ly & Grünwald 2022; Howard, Ramdas, McAuliffe & Sekhon 2021",
    )

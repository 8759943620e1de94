"""How far a robot is from hitting itself, for every row of a chunk."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pinocchio as pin

from unichunk.kinematics.description import robot_description
from unichunk.kinematics.errors import UnknownModel, WrongShape
from unichunk.kinematics.names import instead_of
from unichunk.kinematics.robot_geometry import robot_geometry
from unichunk.kinematics.robot_model import robot_model
from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

_FARTHEST: Final = 1e6
"""No joint is ever beyond this, [rad] or [m]; it is far below where floating point would fail."""

_BLOCK: Final = 64
"""Rows whose bounding spheres are looked at together: enough to be quick, few enough to stay in the cache."""


class SelfDistances(NamedTuple):
    """Distances of a robot from itself.

    Attributes:
        distance: Of the two links that are closest, shape (T,), [m]. Negative where they overlap: how far one would
            have to be moved to be clear of the other. -inf where q is not finite, so that no threshold calls it safe;
            inf where there is no pair to look at.
        pair: Which links, shape (T,), an index into `SelfCollision.pairs`; -1 where the distance is not finite.
    """

    distance: NDArray[np.float64]
    pair: NDArray[np.intp]


class SelfCollision:
    """The collision shapes of a robot, and the pairs of its links that can come to touch.

    Distances are between shapes (boxes, cylinders, spheres), by Pinocchio and Coal (GJK, and EPA where they overlap),
    exact to some micrometres. The pairs of a description leave out links that are joined to each other, those of one
    hand, and those that stay 10 mm apart within the joint limits (`collision_pairs.MARGIN`): a distance that is kept
    larger than that is kept for the pairs, not for all links. An instance has working memory: one for each thread.

    Args:
        name: One of `robot_names()`.
        urdf: The user's own, calibrated URDF, as for `robot_model`.
        pairs: Pairs of link names instead of those of the robot's description.

    Raises:
        UnknownModel: For an unknown robot, and for a pair with a link that is unknown or has no collision shape.
        UrdfError: Where the user's file is no URDF of this robot.
    """

    def __init__(
        self, name: str, urdf: Path | str | None = None, *, pairs: Sequence[tuple[str, str]] | None = None
    ) -> None:
        self.model = robot_model(name, urdf)
        self.pairs = tuple(robot_description(name).self_collision if pairs is None else pairs)
        geometry = robot_geometry(name, urdf)
        shapes = shapes_by_link(self.model, geometry)
        _spheres_to_capsules(geometry)
        self._link_pair = _add_shape_pairs(geometry, shapes, self.pairs, name if urdf is None else str(urdf))
        self._geometry = geometry
        self._model_data, self._geometry_data = self.model.createData(), geometry.createData()
        _forget_between_measurements(self._geometry_data)
        self._first, self._second = _shape_pairs(geometry)
        radii = _radii(geometry)
        self._reach = radii[self._first] + radii[self._second]

    def distances(self, q: ArrayLike) -> SelfDistances:
        """The distance of the closest pair in every configuration.

        Args:
            q: Configurations, shape (T, nq), [rad] or [m], in the order of `joint_names(model)`; limits play no part.

        Raises:
            WrongShape: Where q has another shape. Its values never raise.
        """
        q, usable = self._rows(q)
        result = SelfDistances(np.where(usable, np.inf, -np.inf), np.full(len(q), -1))
        if not self.pairs:
            return result
        rows = np.flatnonzero(usable)
        for block in np.split(rows, range(_BLOCK, len(rows), _BLOCK)):
            for row, lower_bounds in zip(block, self._lower_bounds(q[block]), strict=True):
                self._place(q[row])
                result.distance[row], closest = self._closest(lower_bounds)
                result.pair[row] = self._link_pair[closest]
        return result

    def all_distances(self, q: ArrayLike) -> NDArray[np.float64]:
        """The distance of every pair in every configuration, much slower than `distances`.

        Args:
            q: Configurations, shape (T, nq), as for `distances`.

        Returns:
            Shape (T, P), [m], P = len(pairs); -inf in rows that are not finite.

        Raises:
            WrongShape: Where q has another shape. Its values never raise.
        """
        q, usable = self._rows(q)
        result = np.full((len(q), len(self.pairs)), -np.inf)
        first_of_pair = np.searchsorted(self._link_pair, np.arange(len(self.pairs)))
        if self.pairs:
            for row in np.flatnonzero(usable):
                pin.computeDistances(self.model, self._model_data, self._geometry, self._geometry_data, q[row])
                measured = [shape_pair.min_distance for shape_pair in self._geometry_data.distanceResults]
                result[row] = np.minimum.reduceat(measured, first_of_pair)
        return result

    def _rows(self, q: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Configurations as an array (T, nq), and which of its rows Coal can be trusted with."""
        q = float_array(q, "q", None, self.model.nq)
        if q.ndim != 2:
            raise WrongShape(f"q: expected shape (T, {self.model.nq}), got {q.shape}")
        return q, np.asarray((np.abs(q) < _FARTHEST).all(axis=1))

    def _place(self, q: NDArray[np.float64]) -> None:
        pin.updateGeometryPlacements(self.model, self._model_data, self._geometry, self._geometry_data, q)

    def _lower_bounds(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances of the spheres around the shapes, (rows, pairs of shapes), [m]: the shapes are not closer.

        This holds where they overlap, too: what parts the spheres parts the shapes.
        """
        centres = np.empty((len(q), self._geometry.ngeoms, 3))
        for row, configuration in enumerate(q):
            self._place(configuration)
            centres[row] = [placement.translation for placement in self._geometry_data.oMg]
        between = centres[:, self._first] - centres[:, self._second]
        bounds: NDArray[np.float64] = np.sqrt(np.einsum("rpi,rpi->rp", between, between)) - self._reach
        return bounds

    def _closest(self, lower_bounds: NDArray[np.float64]) -> tuple[float, int]:
        """Distance and index of the closest pair of shapes as placed; only those that can be it are measured."""
        closest = int(lower_bounds.argmin())
        distance = self._measure(closest)
        possible = np.flatnonzero(lower_bounds < distance)
        for candidate in possible[np.argsort(lower_bounds[possible])]:
            if lower_bounds[candidate] >= distance:
                break
            measured = self._measure(int(candidate))
            if measured < distance:
                distance, closest = measured, int(candidate)
        return distance, closest

    def _measure(self, shape_pair: int) -> float:
        return float(pin.computeDistance(self._geometry, self._geometry_data, shape_pair).min_distance)


def shapes_by_link(model: pin.Model, geometry: pin.GeometryModel) -> dict[str, list[int]]:
    """Indices of the shapes on each link that has any, by the link's name."""
    shapes: dict[str, list[int]] = {}
    for i, shape in enumerate(geometry.geometryObjects):
        shapes.setdefault(model.frames[shape.parentFrame].name, []).append(i)
    return shapes


def _add_shape_pairs(
    geometry: pin.GeometryModel, shapes: dict[str, list[int]], pairs: Sequence[tuple[str, str]], origin: str
) -> NDArray[np.intp]:
    """Add all pairs of shapes of these pairs of links, and say for each which pair of links it is of."""
    link_pair = []
    for i, pair in enumerate(pairs):
        for link in pair:
            if link not in shapes:
                raise UnknownModel(
                    f"{origin}: self-collision pair {pair[0]}, {pair[1]}: no link {link!r} with a collision shape: "
                    f"{instead_of(link, shapes)}"
                )
        first, second = (shapes[link] for link in pair)
        for one in first:
            for other in second:
                geometry.addCollisionPair(pin.CollisionPair(one, other))
                link_pair.append(i)
    return np.array(link_pair, dtype=np.intp)


def _spheres_to_capsules(geometry: pin.GeometryModel) -> None:
    """Turn spheres into capsules without length: where a sphere's centre is in a cylinder, Coal 3.0 errs with spheres.

    It takes the distance to the cylinder's side for the depth, even where an end is nearer.
    """
    for shape in geometry.geometryObjects:
        if isinstance(shape.geometry, pin.coal.Sphere):
            shape.geometry = pin.coal.Capsule(shape.geometry.radius, 0.0)


def _forget_between_measurements(geometry_data: pin.GeometryData) -> None:
    """Start every search afresh: the same configuration has the same distance, to the last bit, whatever came before.

    Pinocchio 4 still sets the flag that Coal has deprecated, which makes a search begin where the last one ended.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for request in geometry_data.distanceRequests:
            request.enable_cached_gjk_guess = False


def _shape_pairs(geometry: pin.GeometryModel) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the first and of the second shape of every pair."""
    pairs = np.array([[pair.first, pair.second] for pair in geometry.collisionPairs], np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _radii(geometry: pin.GeometryModel) -> NDArray[np.float64]:
    """Radii of spheres around the shapes' origins that hold them, [m]."""
    radii = []
    for shape in geometry.geometryObjects:
        shape.geometry.computeLocalAABB()
        radii.append(shape.geometry.aabb_radius + float(np.linalg.norm(shape.geometry.aabb_center)))
    return np.array(radii)

"""The smooth map from the drawing board to the ground.

The plan of the town is drawn on a board whose axes are the river (u) and the direction across it (v). Bending the
board afterwards bends river, streets and blocks together, so that no chessboard is left and nothing overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Coords = NDArray[np.float64]


@dataclass(frozen=True)
class Warp:
    """Parameters of the map; lengths in metres, angles in radians.

    Attributes
    ----------
    waves : array, shape (k, 3)
        Amplitude, wave number (1/m) and phase of the river's meanders.
    twists : array, shape (k, 4)
        Centre (u, v), angle and radius of the places around which the streets turn.
    rotation, scale : float
        Applied last.
    """

    waves: Coords
    twists: Coords
    rotation: float
    scale: float = 1.0

    def __call__(self, points: Coords) -> Coords:
        """Board to ground, both of shape (n, 2) in metres; the ground's origin is the board's."""
        u, v = np.asarray(points, dtype=float).T
        amplitude, number, phase = (column[:, None] for column in self.waves.T)
        angle = number * u + phase
        height = (amplitude * np.sin(angle)).sum(axis=0)
        slope = (amplitude * number * np.cos(angle)).sum(axis=0)
        # Streets leave the bank at right angles; further off they stop following its bends.
        x = u - slope * v * np.exp(-((v / 900.0) ** 2))
        y = v + height / (1.0 + (v / 2600.0) ** 2)
        for cu, cv, turn, radius in self.twists:
            dx, dy = x - cu, y - cv
            theta = turn * np.exp(-(dx**2 + dy**2) / radius**2)
            x = cu + dx * np.cos(theta) - dy * np.sin(theta)
            y = cv + dx * np.sin(theta) + dy * np.cos(theta)
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        return np.column_stack([x * cos - y * sin, x * sin + y * cos]) * self.scale

    def scaled(self, factor: float) -> Warp:
        """The same map, everything larger by a factor."""
        return replace(self, scale=self.scale * factor)


def draw_warp(rng: np.random.Generator) -> Warp:
    """Choose the bends of a town."""
    waves = np.array(
        [
            (rng.uniform(170, 220), 2 * np.pi / rng.uniform(4000, 4800), rng.uniform(0, 2 * np.pi)),
            (rng.uniform(35, 55), 2 * np.pi / rng.uniform(1900, 2300), rng.uniform(0, 2 * np.pi)),
        ]
    )
    centres = np.array([(-1700.0, 900.0), (150.0, 900.0), (1700.0, 700.0), (-900.0, -900.0), (1100.0, -800.0)])
    signs = rng.choice([-1.0, 1.0], size=len(centres))
    twists = np.column_stack(
        [
            centres + rng.normal(0, 120, centres.shape),
            signs * rng.uniform(0.14, 0.3, len(centres)),
            rng.uniform(650, 1000, len(centres)),
        ]
    )
    return Warp(waves, twists, rng.choice([-1.0, 1.0]) * np.deg2rad(rng.uniform(5, 13)))


def stream(seed: int, *purpose: int) -> np.random.Generator:
    """A generator of its own for each purpose, so that a change in one step leaves the others as they were."""
    key: Any = [seed, *purpose]
    return np.random.default_rng(key)

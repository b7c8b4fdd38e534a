"""Colorization using optimization (Levin, Lischinski and Weiss 2004): the classical baseline

Neighbours of similar lightness should have similar colours; hints are fixed; the rest is a sparse linear system."""
import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu


def affinities(lum):
    "`(n,n)` sparse: how much each pixel listens to each of its eight neighbours, rows sum to one; `lum` is `(h,w)`"
    h, w = lum.shape
    numbers = np.arange(h*w).reshape(h, w)
    padded, outside = np.pad(lum, 1, mode='edge'), np.pad(np.ones((h, w)), 1)
    shifts = [(1 + dy, 1 + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    views = np.stack([padded[y:y + h, x:x + w] for y, x in shifts])
    inside = np.stack([outside[y:y + h, x:x + w] for y, x in shifts])
    n = inside.sum(0)
    mean = (views*inside).sum(0)/n
    variance = (((views - mean)**2*inside).sum(0)/n*.6).clip(min=2e-6)
    closest = np.where(inside > 0, (views - lum)**2, np.inf)
    closest[4] = np.inf
    variance = np.maximum(variance, -closest.min(0)/np.log(.01)) # as the authors' code: no pixel is on its own
    weights = np.exp(-(views - lum)**2/variance)*inside
    weights[4] = 0
    weights = weights/weights.sum(0)
    rows, columns, values = [], [], []
    for k, (y, x) in enumerate(shifts):
        ok = inside[k] > 0
        rows.append(numbers[ok])
        columns.append(np.pad(numbers, 1)[y:y + h, x:x + w][ok])
        values.append(weights[k][ok])
    return csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (h*w, h*w))


def levin(lum, ab, mask):
    "`(2,h,w)`: colours from lightness `(h,w)` in [0,1] and hints `ab` `(2,h,w)` where `mask` `(h,w)` is 1"
    fixed = mask.ravel() > 0
    if not fixed.any(): return np.zeros_like(ab)
    system = diags(np.ones(lum.size)) - diags((~fixed).astype(float)) @ affinities(lum)
    solve = splu(system.tocsc()).solve
    return np.stack([solve(np.where(fixed, c.ravel(), 0.)) for c in ab]).reshape(ab.shape)

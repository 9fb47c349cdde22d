"""Reads the grids of `vitprobe landscape` or `trajectory` (`--format csv,npz,vts`) with numpy and VTK, and
compares them with the table: each place and each value, to the last bit.

    python grids.py [FOLDER]

Without VTK the `.vts` files are left out. Tested with Python 3.11, numpy 2.4, pandas 3.1 and VTK 9.7.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from figures import slug

FIELDS = ("nll", "se", "acc")


def from_npz(path):
    """Both axes and each field `[y, x]`."""
    with np.load(path) as archive:
        return {name: archive[name] for name in ("x", "y") + FIELDS}


def from_vts(path):
    """The same of a structured grid, as ParaView reads it."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOXML import vtkXMLStructuredGridReader

    reader = vtkXMLStructuredGridReader()
    reader.SetFileName(str(path))
    reader.Update()
    grid = reader.GetOutput()
    _, last_column, _, last_row, _, _ = grid.GetExtent()
    columns, rows = last_column + 1, last_row + 1
    points = vtk_to_numpy(grid.GetPoints().GetData()).reshape(rows, columns, 3)
    data = grid.GetPointData()
    values = {name: vtk_to_numpy(data.GetArray(name)).reshape(rows, columns) for name in FIELDS}
    if (points[:, :, 0] != points[0, :, 0]).any() or (points[:, :, 1].T != points[:, 0, 1]).any():
        sys.exit(f"{path}: its points are no rectangular grid")
    return {"x": points[0, :, 0], "y": points[:, 0, 1], **values}


def main(folder):
    has_vtk = importlib.util.find_spec("vtkmodules") is not None
    surface = folder / "trajectory_surface.csv"
    stem = "trajectory" if surface.exists() else "landscape"
    # Numbers as Python reads them: pandas may be off by the last bit.
    table = pd.read_csv(surface if surface.exists() else folder / "landscape.csv", dtype=str)
    table = table.astype({name: float for name in ("x", "y") + FIELDS})
    for name, rows in table.groupby("model", sort=False):
        shape = (rows.y.nunique(), rows.x.nunique())
        for read, kind in [(from_npz, "npz")] + [(from_vts, "vts")] * has_vtk:
            path = folder / f"{stem}_{slug(name)}.{kind}"
            grid = read(path)
            expected = {field: rows[field].to_numpy().reshape(shape) for field in FIELDS}
            expected |= {"x": rows.x.to_numpy()[: shape[1]], "y": rows.y.to_numpy()[:: shape[1]]}
            for field, values in expected.items():
                np.testing.assert_array_equal(grid[field], values, err_msg=f"{path}: {field}")
            print(f"{path.name}: {shape[0]} x {shape[1]} places as in the table")
    if not has_vtk:
        print("there is no VTK: .vts files were not read")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "vitprobe-out/landscape"))

"""What lies on disk: paths, whole files, the index, records, label maps, checkpoints, fingerprints.

Axes, here and everywhere: ``B`` batch, ``C`` all classes, ``K`` classes of one image (background first), ``H W``
pixels, ``h w`` grid cells, ``N = h·w`` nodes in row-major order, ``E`` edges, ``O`` neighbour offsets, ``F`` features.

Nothing is ever pickled, and a file appears under its name only when it is complete.
"""

"""Tables of places, of any size, tagged with their cell and the people responsible.

A file is read in blocks (`reading`), each block's rows get their answer (`tagging`) and are written in their order
(`writing`); `running` joins these and spreads blocks over threads or a cluster. Every row comes back: what cannot be
placed says why (`words.REASONS`).
"""

"""Anatomy-guided segmentation of colorectal cancer in CT, after AG-CRC (arXiv 2310.04677).

Organ masks in, lesion mask out; trained and applied where the anatomy says it matters. Only the abstract of the paper
is public and its code was not released: the formulas are this project's reading of its components.

Conventions, everywhere in this package: arrays are (z, y, x) with z towards the head, y towards the front and x towards
the patient's right hand side (RAS+, axes reversed); spacings are mm in the same order; CT values are HU.
"""

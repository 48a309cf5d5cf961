"""How every figure is computed, in the words of the report and the JSON."""

from __future__ import annotations

RULES: tuple[tuple[str, str], ...] = (
    (
        "Dice",
        "2·|P ∩ T| / (|P| + |T|) of each scan with a lesion, then the mean over scans. A scan with a lesion and "
        "an empty mask counts 0. Scans without a lesion have no Dice; they are judged by their false positives.",
    ),
    (
        "Lesion-wise Dice",
        "of each true lesion with all components of the mask that touch it; 0 for a lesion that nothing touches; "
        "mean over lesions.",
    ),
    (
        "NSD",
        "normalised surface Dice: the share of both surfaces, by area, that lies within 2 mm or 4 mm of the "
        "other. Surface elements and their areas by marching cubes in mm (Nikolov et al. 2021). 0 for an empty "
        "mask.",
    ),
    (
        "HD95",
        "the distance in mm that 95 % of each surface, by area, keeps to the other; the larger of the two ways. "
        "An empty mask gets the diagonal of the scan's field of view, the largest distance there can be.",
    ),
    (
        "Lesions",
        "connected components over faces, edges and corners, none too small to count. A component of the mask "
        "hits a lesion where their IoU is at least 0.1, one to one, by the assignment with the largest sum of "
        "IoU.",
    ),
    (
        "False positives",
        "components of the mask that hit nothing, unless at least half of them lies in true lesions (a fragment).",
    ),
    (
        "FROC",
        "the largest share of lesions found at no more than so many false positives per scan, over all scans. "
        "Candidates are ranked by mean probability, from the probability map or the JSON of the prediction, else "
        "by volume. With probability maps, parts of at least 0.1 that don't touch the mask are candidates too. "
        "Past the last candidate the curve stays level.",
    ),
    (
        "Size",
        "diameter of the ball that has the lesion's volume.",
    ),
    (
        "Places",
        "a false positive lies in the colon label, else in the organ of interest (OOI), else outside, where at "
        "least half of its voxels do; its organ likewise.",
    ),
    (
        "OOI ceiling",
        "Dice of the truth cut to the organ of interest with the truth: no mask inside the organ of interest can "
        "do better.",
    ),
    (
        "Intervals",
        "95 %, over scans: Wilson-type clustered intervals for shares and for HD95, bootstrap widened for few "
        "scans (Hesterberg 2015) for the others, never narrower than exact Poisson for counts. Lesions of a scan "
        "count as dependent.",
    ),
    (
        "Comparison",
        "paired by scan, first minus second. Intervals: bootstrap over scans, the same for all training seeds, "
        "plus seeds drawn apart. p: sign-flip test over scans, adjusted for all metrics (Holm); it is about these"
        " trained networks, not about training them again.",
    ),
)

"""All that may be wrong (or only look wrong) with the three files of an ml5 network, and what real ml5 does then.

`SITUATIONS["custom-name"].spoil(GOOD)` are the files; `.verdicts["0.x"]["string"]` is "ok" (loads and answers right),
"fails" (an error, or it never answers) or "wrong" (answers other numbers or labels, in silence). `test_ml5_matrix.py`
asks ml5 0.12.2 and 1.4.0 about every verdict here, so other tests may trust them.
"""

from __future__ import annotations

import ml5_spoilt_files
import ml5_spoilt_insides
from ml5_spoiling import GOOD, INPUTS, ROUTES, SITUATIONS, TASK, VERSIONS, Files, Situation

# The rooms that fill SITUATIONS.
FILLED_BY = (ml5_spoilt_files, ml5_spoilt_insides)

__all__ = ["GOOD", "INPUTS", "ROUTES", "SITUATIONS", "TASK", "VERSIONS", "Files", "Situation"]

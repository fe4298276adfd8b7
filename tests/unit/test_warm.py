"""What the charts need is loaded by itself, soon after the start."""

import subprocess
import sys

PROGRAM = """
import sys
from chatplay.ui import warm
assert "altair" not in sys.modules
warm.begin(0).join(60)
assert {"altair", "chatplay.ui.metrics.cards", "chatplay.experiments.stats"} <= set(sys.modules)
"""


def test_heavy_modules_are_loaded_by_the_warm_up():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr

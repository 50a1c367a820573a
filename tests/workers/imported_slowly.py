"""Is imported when the file that IMPORTED names is there."""

import os
import time
from pathlib import Path

while not Path(os.environ["IMPORTED"]).exists():
    time.sleep(0.01)

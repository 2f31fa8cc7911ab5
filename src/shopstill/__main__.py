"""``python -m shopstill``."""

import sys

from shopstill.cli import main

sys.exit(main())

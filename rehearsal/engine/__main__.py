"""`python -m rehearsal.engine serve --model-path P --host H --port N …`: SGLang's command line, emulated."""

import sys

from rehearsal.engine.serve import main

sys.exit(main(sys.argv[1:]))

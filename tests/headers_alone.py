#!/usr/bin/env python3
"""Names the internal headers that no source proves to compile alone, one path a line.

A source proves it by including the header of its own name before all others.
"""

import pathlib
import re

root = pathlib.Path(__file__).resolve().parents[1]
for folder in ("include/ringfeed/detail", "src", "cli", "python/bindings"):
    for header in sorted((root / folder).rglob("*.h")):
        source = header.with_suffix(".cc")
        first = source.exists() and re.search(r'^#include ["<](.*)[">]', source.read_text(), re.M)
        if not first or not str(header).endswith("/" + first[1]):
            print(header.relative_to(root))

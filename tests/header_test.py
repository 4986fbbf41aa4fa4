#!/usr/bin/env python3
"""The test of a public header, made to be compiled: it twice, and the examples in its comments.

    python header_test.py HEADER NAME OUTPUT

An example is what stands between `@code` and `@endcode`: statements, in a function of their own
each, with <iostream> at hand. A header without one is an error.
"""

import re
import sys
from pathlib import Path


def examples_of(text: str) -> list[tuple[int, str]]:
    """The line each begins at, and its code."""
    found = []
    for block in re.finditer(r"@code\n(.*?)^ *///? *@endcode", text, re.S | re.M):
        lines = [re.sub(r"^ */// ?", "", line) for line in block[1].splitlines()]
        found.append((text.count("\n", 0, block.start(1)) + 1, "\n".join(lines)))
    return found


def main(header: Path, name: str, output: Path) -> None:
    text = header.read_text()
    examples = examples_of(text)
    if not examples:
        sys.exit(f"{header}: no example; put one between @code and @endcode")
    if len(examples) != text.count("@code"):
        sys.exit(f"{header}: an @code that does not stand in lines of ///, or has no @endcode")
    parts = [f'#include "ringfeed/{name}.h"\n' * 2, "#include <iostream>\n"]
    for number, (line, code) in enumerate(examples):
        parts.append(
            f"void example_{name}_{number}();\n"
            f"void example_{name}_{number}() {{\n"
            f'#line {line} "{header}"\n{code}\n}}\n'
        )
    output.write_text("\n".join(parts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

"""One environment for each peer: its own packages, and behind them those of this one."""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path


def make(folder, name, packages):
    """(its Python, None) or (None, why pip failed, in one line). Made once."""
    home = Path(folder) / name
    python, done = home / "bin" / "python", home / "installed"
    wanted = " ".join(packages)
    if not packages:
        return sys.executable, None
    if not done.exists() or done.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *packages]
        result = subprocess.run(pip, capture_output=True, text=True)
        if result.returncode != 0:
            return None, f"pip install {wanted}: {last_error(result.stderr)}"
        done.write_text(wanted)
    # Each time: the environment that calls may be another than the one that made it.
    own = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    (own / "zz_behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(python), None


def last_error(text):
    lines = [line.strip() for line in text.splitlines()]
    errors = [line for line in lines if re.match(r"\w+Error: ", line)]
    return (errors or [line for line in lines if line] or ["no message"])[-1][:160]

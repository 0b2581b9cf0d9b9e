"""A release of Kolibri from PyPI, and the Python that it runs on."""

import glob
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# One folder per release, which a second run finds again: a wheel has about 100 MB.
TARGET = os.environ.get("CARGO_TARGET_DIR") or Path(__file__).parents[2] / "target"
CACHE = Path(TARGET, "kolibri").resolve()


@dataclass(frozen=True)
class Release:
    version: str
    python: str

    def __str__(self):
        return f"Kolibri {self.version} on Python {self.python}"

    def at_least(self, *version):
        return tuple(map(int, self.version.split("."))) >= version

    def interpreter(self):
        """The path of the Python: that of the search path, or one that pyenv has, whether it is switched on or not."""
        name = f"python{self.python}"
        pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
        for candidate in [shutil.which(name), *sorted(glob.glob(f"{pyenv}/versions/{self.python}.*/bin/{name}"))]:
            # A shim of pyenv exists also where it can only complain.
            if candidate and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
                return candidate
        raise AssertionError(f"Kolibri {self.version} needs Python {self.python}, which is missing: pyenv install {self.python}")

    def installed(self):
        """The folder of the package; its dependencies are bundled in it."""
        folder = CACHE / self.version
        if not folder.exists():
            half = CACHE / f".{self.version}.half"
            shutil.rmtree(half, ignore_errors=True)
            # This Python only unpacks the wheel: which one runs it, and compiles it, is not its business.
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                       "--only-binary=:all:", "--no-deps", "--ignore-requires-python", "--no-compile",
                       "--target", half, f"kolibri=={self.version}"]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                raise AssertionError(f"pip cannot install Kolibri {self.version}:\n{done.stdout}")
            half.rename(folder)
        return folder

"""What is in the wheel."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

from .plugs import REQUIRED

ROOT = Path(__file__).parents[1]
MODULES = [p.name for p in (ROOT / "src" / "weir_client").glob("*.py")]


def missing(*modules: str) -> str:
    """Why a test that needs these is skipped; empty if it is not."""
    gone = [m for m in modules if importlib.util.find_spec(m) is None]
    return "" if REQUIRED or not gone else f"{', '.join(gone)} not installed"


class Wheel(unittest.TestCase):
    @unittest.skipIf(missing("build", "setuptools", "wheel"), missing("build", "setuptools", "wheel"))
    def test_wheel(self) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary) / "package"
            # In a copy: setuptools leaves things behind beside the source.
            left = shutil.ignore_patterns("__pycache__", "build", "dist", "*.egg-info", ".mypy_cache")
            shutil.copytree(ROOT, copy, ignore=left)
            command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", temporary, str(copy)]
            built = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(built.returncode, 0, built.stdout + built.stderr)
            (wheel,) = Path(temporary).glob("*.whl")
            self.assertEqual(wheel.name, "weir_client-0.1.0-py3-none-any.whl")
            with zipfile.ZipFile(wheel) as z:
                self._check(z)
            # It runs from the wheel, without this directory and without other packages.
            check = "import sys; sys.path.insert(0, sys.argv[1]); import weir_client.urllib as u; print(u.__file__)"
            said = subprocess.run(
                [sys.executable, "-I", "-S", "-c", check, str(wheel)],
                capture_output=True,
                text=True,
            )
            self.assertIn(wheel.name, said.stdout, said.stderr)

    def _check(self, z: zipfile.ZipFile) -> None:
        names = {n for n in z.namelist() if not n.endswith("/")}
        about = "weir_client-0.1.0.dist-info/"
        want = {f"weir_client/{m}" for m in [*MODULES, "py.typed"]}
        self.assertEqual(names, want | {about + n for n in ("LICENSE", "METADATA", "RECORD", "WHEEL", "top_level.txt")})
        metadata = z.read(about + "METADATA").decode()
        self.assertIn("Requires-Python: >=3.10\n", metadata)
        self.assertIn("# weir_client", metadata, "the README is its page")
        needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
        self.assertEqual(needed, [], "it depends on nothing")

    def test_standard_library_only(self) -> None:
        """Without httpx and requests everything else can be imported."""
        check = "import weir_client, weir_client.urllib, sys; print(sorted({'httpx', 'requests', 'urllib3'} & set(sys.modules)))"
        said = subprocess.run(
            [sys.executable, "-S", "-c", check], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "src")}
        )
        self.assertEqual(said.stdout.strip(), "[]", said.stderr)

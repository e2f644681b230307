"""Builds the optional nonce-search kernel; everything else is in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "softaxe.bitcoin._kernel",
            sources=["src/softaxe/bitcoin/_kernel.c"],
            depends=[str(path) for path in Path("src/softaxe/bitcoin").glob("*.h")],
            extra_compile_args=["-O3"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            optional=True,  # without a C compiler the Python kernel serves
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)

"""Numeric routines that families share: compiled, pure, without I/O."""

from penstock.kernels._jit import compile_once, jit, jit_cache_dir

__all__ = ["compile_once", "jit", "jit_cache_dir"]

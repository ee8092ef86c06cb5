"""Chooses the dtype of models and trainings by what the processor multiplies fastest."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import torch

_FLAGS: Final = {
    "AVX2": "avx2",
    "AVX2_VNNI": "avx_vnni",
    "AVX512": "avx512_bw",
    "AVX512_VNNI": "avx512_vnni",
    "AVX512_BF16": "avx512_bf16",
    "AMX_BF16": "amx_bf16",
}
"""Instruction sets of x86-64, from oldest to newest, with their flags in `torch.cpu`."""
_BASE: Final = "SSE4"
_LIMITS: Final = {
    "ONEDNN_MAX_CPU_ISA": {
        "SSE41": _BASE,
        "AVX": _BASE,
        "AVX2": "AVX2",
        "AVX2_VNNI": "AVX2_VNNI",
        "AVX2_VNNI_2": "AVX2_VNNI",
        "AVX512_CORE": "AVX512",
        "AVX512_CORE_VNNI": "AVX512_VNNI",
        "AVX512_CORE_BF16": "AVX512_BF16",
        "AVX512_CORE_FP16": "AVX512_BF16",
        "AVX10_1_512": "AVX512_BF16",
    },
    "ATEN_CPU_CAPABILITY": {"DEFAULT": _BASE, "AVX2": "AVX2"},
}
"""Environment variables that limit the instructions of oneDNN (also OpenVINO's) and torch; other values do not limit
them."""


@cache
def instruction_set() -> str:
    """Returns the newest instruction set that products use.

    This is the processor's, unless `ONEDNN_MAX_CPU_ISA` or `ATEN_CPU_CAPABILITY` is set to an older one. They are read
    once per process, as by oneDNN and torch.

    Returns AMX_BF16, AVX512_BF16, AVX512_VNNI, AVX512, AVX2_VNNI, AVX2 or SSE4; on other processors than x86-64, the
    architecture.
    """
    return newest_allowed(torch.cpu.get_capabilities(), os.environ)


def newest_allowed(capabilities: Mapping[str, Any], settings: Mapping[str, str]) -> str:
    """Returns `instruction_set` for a processor with these capabilities under these settings."""
    if capabilities["architecture"] != "x86_64":
        return str(capabilities["architecture"])
    sets = [_BASE, *_FLAGS]
    limits = [values.get(settings.get(name, "").upper(), sets[-1]) for name, values in _LIMITS.items()]
    allowed = sets[: min(map(sets.index, limits)) + 1]
    return next((name for name in reversed(allowed) if name in _FLAGS and capabilities[_FLAGS[name]]), _BASE)


def native_dtype(device: torch.device | None = None) -> torch.dtype:
    """Returns bfloat16 if the device multiplies it faster than float32, else float32.

    Emulated products of bfloat16 take several times as long as those of float32. Processors of Intel without AMX have
    the instructions, but take 1.6 times as long with them (`benchmarks/index.py`).

    device: None for the processor.
    """
    if device is not None and device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device is not None and device.type != "cpu":
        native = True
    elif torch.cpu.get_capabilities()["architecture"] == "x86_64":
        native = multiplies_bfloat16_faster(instruction_set(), torch.cpu.get_capabilities()["cpu_name"])
    else:
        native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def multiplies_bfloat16_faster(instructions: str, name: str) -> bool:
    """Returns whether a processor of x86-64 multiplies bfloat16 faster than float32.

    instructions: see `instruction_set`. name: of the processor, as torch gives it.
    """
    return instructions == "AMX_BF16" or (instructions == "AVX512_BF16" and not name.startswith("Intel"))


def native_autocast(device: torch.device) -> torch.autocast:
    """Returns `torch.autocast` to bfloat16 if that is the `native_dtype`, else a context without effect."""
    return torch.autocast(device.type, torch.bfloat16, enabled=native_dtype(device) == torch.bfloat16)


def adds_int8_products_in_32_bits() -> bool:
    """Whether products of 8-bit integers are exact (VNNI).

    Older instructions add pairs of products in 16 bits, which can overflow.
    """
    return instruction_set() not in (_BASE, "AVX2", "AVX512")

"""What the processor multiplies in hardware: the one place that decides in which dtype models and trainings compute."""

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
"""Instruction sets of x86-64, each newer than those before it, and the flags that `torch.cpu` names them by."""
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
"""Settings that keep oneDNN (OpenVINO's as well) and torch from newer instructions. Other values limit nothing here."""


@cache
def instruction_set() -> str:
    """The newest instruction set that products run in: the processor's, unless `ONEDNN_MAX_CPU_ISA` or
    `ATEN_CPU_CAPABILITY` is set to an older one. oneDNN and torch read both once, and so does this.

    Returns AMX_BF16, AVX512_BF16, AVX512_VNNI, AVX512, AVX2_VNNI, AVX2 or SSE4; elsewhere than on x86-64, the
    architecture.
    """
    return newest_allowed(torch.cpu.get_capabilities(), os.environ)


def newest_allowed(capabilities: Mapping[str, Any], settings: Mapping[str, str]) -> str:
    """As `instruction_set`, of a processor with the given capabilities, under the given settings."""
    if capabilities["architecture"] != "x86_64":
        return str(capabilities["architecture"])
    sets = [_BASE, *_FLAGS]
    limits = [values.get(settings.get(name, "").upper(), sets[-1]) for name, values in _LIMITS.items()]
    allowed = sets[: min(map(sets.index, limits)) + 1]
    return next((one for one in reversed(allowed) if one in _FLAGS and capabilities[_FLAGS[one]]), _BASE)


def native_dtype(device: torch.device | None = None) -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, else float32. device: the processor if None.

    Products of bfloat16 also run elsewhere, emulated, and take several times as long as those of float32.
    """
    if device is not None and device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device is not None and device.type != "cpu":
        native = True
    elif torch.cpu.get_capabilities()["architecture"] == "x86_64":
        native = instruction_set() in ("AVX512_BF16", "AMX_BF16")
    else:
        native = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def native_autocast(device: torch.device) -> torch.autocast:
    """`torch.autocast` to bfloat16 where the device multiplies it in hardware; elsewhere a context without effect."""
    return torch.autocast(device.type, torch.bfloat16, enabled=native_dtype(device) == torch.bfloat16)


def adds_int8_products_in_32_bits() -> bool:
    """Whether products of 8-bit integers are exact (VNNI). Older instructions add pairs of them in 16 bits, which
    overflow."""
    return instruction_set() not in (_BASE, "AVX2", "AVX512")

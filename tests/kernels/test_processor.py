"""The instruction set that runs, and the dtype that follows from it."""

import json
import os
import subprocess
import sys

import pytest
import torch

from polyglance.kernels.processor import instruction_set, multiplies_bfloat16_faster, newest_allowed

FLAGS = ("avx2", "avx_vnni", "avx512_bw", "avx512_vnni", "avx512_bf16", "amx_bf16")
PROCESSORS = {
    "Nehalem": (),
    "Haswell": ("avx2",),
    "Alder Lake": ("avx2", "avx_vnni"),
    "Skylake-X": ("avx2", "avx512_bw"),
    "Ice Lake": ("avx2", "avx512_bw", "avx512_vnni"),
    "Zen 4": ("avx2", "avx512_bw", "avx512_vnni", "avx512_bf16"),
    "Sapphire Rapids": FLAGS,
}


def newest(processor: str, **settings: str) -> str:
    there = PROCESSORS[processor]
    return newest_allowed({"architecture": "x86_64", **{flag: flag in there for flag in FLAGS}}, settings)


def test_without_a_setting_it_is_the_processors_newest() -> None:
    assert {name: newest(name) for name in PROCESSORS} == {
        "Nehalem": "SSE4",
        "Haswell": "AVX2",
        "Alder Lake": "AVX2_VNNI",
        "Skylake-X": "AVX512",
        "Ice Lake": "AVX512_VNNI",
        "Zen 4": "AVX512_BF16",
        "Sapphire Rapids": "AMX_BF16",
    }
    assert newest_allowed({"architecture": "aarch64"}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}) == "aarch64"


@pytest.mark.parametrize(
    ("processor", "onednn", "aten", "expected"),
    [
        ("Sapphire Rapids", "AVX2", "", "AVX2"),
        ("Sapphire Rapids", "avx2", "", "AVX2"),
        ("Sapphire Rapids", "", "avx2", "AVX2"),
        ("Sapphire Rapids", "AVX512_CORE_VNNI", "default", "SSE4"),
        ("Sapphire Rapids", "AVX512_CORE_FP16", "", "AVX512_BF16"),
        ("Sapphire Rapids", "DEFAULT", "avx512", "AMX_BF16"),
        ("Zen 4", "AVX512_CORE", "", "AVX512"),
        ("Haswell", "AVX512_CORE_BF16", "", "AVX2"),
        ("Nehalem", "AVX2", "avx2", "SSE4"),
    ],
)
def test_a_setting_takes_newer_sets_away(processor: str, onednn: str, aten: str, expected: str) -> None:
    assert newest(processor, ONEDNN_MAX_CPU_ISA=onednn, ATEN_CPU_CAPABILITY=aten) == expected


@pytest.mark.parametrize(
    ("instructions", "name", "faster"),
    [
        ("AMX_BF16", "Intel Xeon", True),
        ("AVX512_BF16", "Intel Xeon", False),
        ("AVX512_BF16", "AMD EPYC", True),
        ("AVX512_VNNI", "AMD EPYC", False),
        ("AVX2", "Intel Core i7", False),
    ],
)
def test_bfloat16_is_taken_where_it_is_faster(instructions: str, name: str, faster: bool) -> None:
    assert multiplies_bfloat16_faster(instructions, name) is faster


def test_the_dtype_follows_the_setting() -> None:
    """In a process of its own: settings are read once. oneDNN also takes bfloat16 that it emulates, in AVX512_CORE."""
    code = """
import json, torch
from polyglance.kernels.processor import adds_int8_products_in_32_bits, instruction_set, native_autocast, native_dtype
cpu = torch.device("cpu")
with native_autocast(cpu):
    product = torch.ones(2, 2) @ torch.ones(2, 2)
found = [str(native_dtype()), str(native_dtype(cpu)), str(product.dtype), adds_int8_products_in_32_bits()]
print(json.dumps([instruction_set(), *found]))
"""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    name, *found = json.loads(done.stdout)
    assert name == newest_allowed(torch.cpu.get_capabilities(), environment)
    assert found == ["torch.float32", "torch.float32", "torch.float32", name == "AVX2_VNNI"]


def test_this_process_has_the_set_that_torch_and_its_environment_name() -> None:
    assert instruction_set() == newest_allowed(torch.cpu.get_capabilities(), os.environ)

"""Both sides of a comparison run in one state."""

import pytest

from benchmarks.adapters import require_one_state

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


@pytest.mark.parametrize("settings", [{}, AVX2])
def test_libraries_that_are_limited_alike_are_compared(settings: dict[str, str]) -> None:
    require_one_state(settings)


@pytest.mark.parametrize("missing", AVX2)
def test_libraries_that_are_limited_differently_are_not_compared(missing: str) -> None:
    with pytest.raises(RuntimeError, match="one instruction set"):
        require_one_state({name: value for name, value in AVX2.items() if name != missing})

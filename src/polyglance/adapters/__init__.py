"""Adapters: small trained modules in a frozen encoder, and which of them act on which row of a batch."""

from polyglance.adapters.bank import AdapterBank
from polyglance.adapters.checkpoint import load_adapter, load_fusion, save_adapter, save_fusion
from polyglance.adapters.composition import Composition, Drop, Fuse, Parallel, Stack
from polyglance.adapters.config import AdapterConfig
from polyglance.adapters.fusion import FusionWeights
from polyglance.adapters.modules import Adapter
from polyglance.adapters.routing import Adaptation
from polyglance.adapters.trainable import TrainableAdapters

__all__ = [
    "Adaptation",
    "Adapter",
    "AdapterBank",
    "AdapterConfig",
    "Composition",
    "Drop",
    "Fuse",
    "FusionWeights",
    "Parallel",
    "Stack",
    "TrainableAdapters",
    "load_adapter",
    "load_fusion",
    "save_adapter",
    "save_fusion",
]

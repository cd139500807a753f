"""Make LiteRT ready to run a network, without XNNPACK where that cannot build the graph."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

log = logging.getLogger(__name__)


def open_interpreter(path: Path) -> Interpreter:
    """An interpreter with allocated tensors.

    LiteRT hands a graph to its XNNPACK delegate, which cannot build some quantised networks. LiteRT's own kernels run
    them.

    Raises:
        RuntimeError, ValueError: LiteRT cannot read or run the network, with its own kernels either.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    except RuntimeError as error:
        interpreter = Interpreter(
            model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        interpreter.allocate_tensors()
        reason = " ".join(str(error).split())[-200:]
        log.warning("%s: LiteRT runs without its XNNPACK delegate, which cannot build the graph (%s)", path, reason)
    return interpreter

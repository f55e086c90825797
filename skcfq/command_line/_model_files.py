"""Models from files: which of them execute code when they are read, and which are quantized."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skcfq.command_line._outcomes import Refused

_EXECUTES = (".joblib", ".pkl", ".pickle")
# Operators of quantized graphs, those of onnxruntime included.
_QUANTIZED = re.compile(r"Quantize|QLinear|QGemm|QMoE|NBits|Bnb4|MatMulInteger|ConvInteger")
_FLOAT_BITS = 32


@dataclass(frozen=True)
class ModelFile:
    """A file that holds a model.

    Attributes
    ----------
    path : Path
    trusted : bool
        Whether code that the file brings may be executed.
    """

    path: Path
    trusted: bool

    @classmethod
    def checked(cls, path: str, *, trusted: bool) -> ModelFile:
        """Return the file, where there is one and it may be read.

        Raises
        ------
        Refused
        """
        file = cls(Path(path), trusted)
        if not file.path.is_file():
            raise Refused(f"{path}: no such file.")
        if file.kind == "joblib" and not trusted:
            raise Refused(
                f"{path} executes code when it is loaded: give --trust if you know who wrote it, "
                "or a .skops, .onnx or .skcfq file."
            )
        return file

    @property
    def kind(self) -> str:
        """``"joblib"``, ``"skops"``, ``"onnx"`` or ``"skcfq"``, which any other name stands for."""
        suffix = self.path.suffix.lower()
        if suffix in _EXECUTES:
            return "joblib"
        return suffix[1:] if suffix in (".skops", ".onnx") else "skcfq"

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def record(self) -> dict[str, Any]:
        """What an audit says of the file; its size only where it holds a model and nothing else."""
        size = self.path.stat().st_size if self.kind in ("skcfq", "onnx") else None
        return {"file": self.path.name} | ({} if size is None else {"bytes": size})

    def load(self) -> Any:
        """Return the model; of an ONNX file its path, which is read with rows at hand."""
        if self.kind == "joblib":
            import joblib

            return joblib.load(self.path)
        if self.kind == "skops":
            return self._skops()
        if self.kind == "onnx":
            return str(self.path)
        from skcfq.deploy import load

        return load(self.path)

    def _skops(self) -> Any:
        try:
            from skops import io
        except ImportError as error:
            raise Refused(f"{self.path}: reading it needs skops: pip install skops.") from error
        unknown = io.get_untrusted_types(file=self.path)
        if unknown and not self.trusted:
            raise Refused(
                f"{self.path} holds types that skops does not trust: {', '.join(unknown)}. Give "
                "--trust if you know who wrote it."
            )
        return io.load(self.path, trusted=unknown)

    def is_quantized(self, model: Any) -> bool:
        """Tell whether the model has fewer bits than a float, by what its file or itself says."""
        if self.kind == "onnx":
            return any(_QUANTIZED.search(name) for name in self.operators())
        # Of a pipeline, its last step does.
        last = model[-1] if hasattr(model, "steps") else model
        bits = getattr(last, "average_bits_", None)
        return bits is not None and float(bits) < _FLOAT_BITS

    def operators(self) -> set[str]:
        """Return the names of the operators of an ONNX graph."""
        try:
            import onnx
        except ImportError as error:
            raise Refused(f"{self.path}: reading it needs onnx: pip install onnx.") from error
        try:
            graph = onnx.load(self.path, load_external_data=False).graph
        except Exception as error:  # protobuf's, which is no dependency of ours
            raise Refused(f"{self.path} is no ONNX file: {error}") from error
        return {node.op_type for node in graph.node}

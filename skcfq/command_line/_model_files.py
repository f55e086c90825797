"""Models from files: which of them execute code when they are read, and which are quantized."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
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
    name : str
        Of a Python file: what in it is the model.
    """

    path: Path
    trusted: bool
    name: str = ""

    @classmethod
    def checked(cls, path: str, *, trusted: bool) -> ModelFile:
        """Return the file, where there is one and it may be read.

        Raises
        ------
        Refused
        """
        file = cls(Path(path), trusted)
        if not file.path.is_file():
            place, _, name = path.rpartition(":")
            file = cls(Path(place), trusted, name)
        if not file.path.is_file() or (file.name and file.kind != "python"):
            raise Refused(f"{path}: no such file.")
        if file.kind == "python" and not file.name.isidentifier():
            raise Refused(f"{path}: name the model in it, such as {file.path}:decide.")
        if file.kind in ("joblib", "python") and not trusted:
            raise Refused(
                f"{path} executes code when it is loaded: give --trust if you know who wrote it, "
                "or a .skops, .onnx or .skcfq file."
            )
        return file

    @property
    def kind(self) -> str:
        """``"joblib"``, ``"python"``, ``"skops"``, ``"onnx"``, or else ``"skcfq"``."""
        suffix = self.path.suffix.lower()
        if suffix == ".py":
            return "python"
        if suffix in _EXECUTES:
            return "joblib"
        return suffix[1:] if suffix in (".skops", ".onnx") else "skcfq"

    @property
    def digest(self) -> str:
        """SHA-256 of the file, and of the name in it."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() + self.name

    @property
    def record(self) -> dict[str, Any]:
        """What an audit says of the file; its size only where it holds a model and nothing else."""
        size = self.path.stat().st_size if self.kind in ("skcfq", "onnx") else None
        name = f"{self.path.name}:{self.name}" if self.name else self.path.name
        mark = {"file": name, "sha256": self.digest.removesuffix(self.name)}
        return mark | ({} if size is None else {"bytes": size})

    def load(self) -> Any:
        """Return the model; of an ONNX file its path, which is read with rows at hand."""
        if self.kind == "joblib":
            import joblib

            return joblib.load(self.path)
        if self.kind == "python":
            return self._named()
        if self.kind == "skops":
            return self._skops()
        if self.kind == "onnx":
            return str(self.path)
        from skcfq.deploy import load

        return load(self.path)

    def _named(self) -> Any:
        spec = importlib.util.spec_from_file_location(self.path.stem, self.path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # What the file defines is found by its name when it is copied or pickled.
        sys.modules.setdefault(self.path.stem, module)
        spec.loader.exec_module(module)
        if not hasattr(module, self.name):
            raise Refused(f"{self.path} has nothing of the name {self.name!r}.")
        return getattr(module, self.name)

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

"""Every error and warning of the library.

Errors subclass the built-in type that scikit-learn would raise in the same place, so that code
which catches ``ValueError`` keeps working. An unfitted model raises
:class:`sklearn.exceptions.NotFittedError`, as everywhere else in scikit-learn.
"""

import warnings

__all__ = [
    "ActionSetError",
    "ActionSetFileError",
    "AdviceFileError",
    "AuditFileError",
    "ArtefactDamagedError",
    "ArtefactError",
    "ArtefactVersionError",
    "BackgroundRequiredError",
    "BudgetError",
    "ContradictingRowsWarning",
    "CostFallbackWarning",
    "DatasetDamagedError",
    "DatasetNotFoundError",
    "DefaultTargetWarning",
    "DivergenceWarning",
    "EmptyPopulationWarning",
    "EncodedTableWarning",
    "FeatureSpaceError",
    "InterruptedWarning",
    "ManyLevelsWarning",
    "NumbersAsTextWarning",
    "OptionalDependencyError",
    "RecourseGapWarning",
    "ReferenceRequiredError",
    "SkcfqError",
    "SkcfqWarning",
    "SpaceMismatchError",
    "TargetError",
    "UnreadableStepError",
    "UnsupportedModelError",
    "WorkerDiedError",
]


class SkcfqError(Exception):
    """Base class of every error that only this library raises."""


class FeatureSpaceError(SkcfqError, ValueError):
    """Raw rows do not fit the map between raw and encoded columns."""


class UnreadableStepError(FeatureSpaceError):
    """A preprocessing step cannot be read as one function per raw column."""


class SpaceMismatchError(SkcfqError, ValueError):
    """Two models that are compared do not share one feature space."""


class ActionSetError(SkcfqError, ValueError):
    """The rules of an action set contradict each other or the columns they name."""


class ActionSetFileError(ActionSetError):
    """The file of an action set cannot be read.

    Attributes
    ----------
    path : str
    line, column : int or None
        Where the first problem stands, both counted from 1; None where the file as a whole is
        the problem.
    problems : tuple of (line, column, message)
        All of them, in the order of the file.
    """

    def __init__(self, path: str, problems: tuple[tuple[int | None, int | None, str], ...]) -> None:
        super().__init__(path, problems)
        self.path = path
        self.problems = tuple(problems)
        self.line, self.column = self.problems[0][:2]

    def __str__(self) -> str:
        lines = []
        for line, column, message in self.problems:
            place = self.path if line is None else f"{self.path}:{line}:{column}"
            lines.append(f"{place}: {message}")
        return "\n".join(lines)


class AdviceFileError(SkcfqError, ValueError):
    """A document of advice is damaged, of another kind, or was changed."""


class AuditFileError(SkcfqError, ValueError):
    """A document of an audit is damaged, of another kind, or was changed."""


class BackgroundRequiredError(SkcfqError, ValueError):
    """Costs or bounds need a background population, and none is known."""


class ArtefactError(SkcfqError, ValueError):
    """A model file cannot be used."""


class ArtefactDamagedError(ArtefactError):
    """A model file is damaged, truncated, or no model file at all."""


class ArtefactVersionError(ArtefactError):
    """A model file was written by a newer version of the library."""


class OptionalDependencyError(SkcfqError, ImportError):
    """A package that only this feature needs is not installed."""


class BudgetError(SkcfqError, ValueError):
    """No choice of the candidate bit widths meets the bit budget."""


class TargetError(SkcfqError, ValueError):
    """The target is no class of the model."""


class ReferenceRequiredError(SkcfqError, ValueError):
    """A comparison needs a reference model, and the estimator carries none."""


class UnsupportedModelError(SkcfqError, TypeError):
    """A model cannot be read as a predictor, or lacks what the method needs."""


class WorkerDiedError(SkcfqError, RuntimeError):
    """A process that solved people in parallel is no more.

    Attributes
    ----------
    results : tuple of RecourseResult
        What is known: one, or the two of a comparison. Who was not finished is ``"time_limit"``.
    """

    def __init__(self, message: str, results: tuple = ()) -> None:
        super().__init__(message, results)
        self.results = results

    def __str__(self) -> str:
        return str(self.args[0])


class DatasetNotFoundError(SkcfqError, FileNotFoundError):
    """The file of a dataset is neither in the data folder nor downloadable."""


class DatasetDamagedError(SkcfqError, ValueError):
    """The file of a dataset is not the published one."""


class SkcfqWarning(UserWarning):
    """Base class of every warning of the library."""


class DefaultTargetWarning(SkcfqWarning):
    """The wanted label was guessed as the last of ``classes_``, in the order of the alphabet.

    It is shown each time, and not once for each line of code, unless a filter says otherwise.
    """


# Behind all filters of the user: what the first of ten fits has guessed, all ten of them guess.
warnings.simplefilter("always", DefaultTargetWarning, append=True)


class ContradictingRowsWarning(SkcfqWarning):
    """Rows are at no level of a one-hot group that the action set declares."""


class EmptyPopulationWarning(SkcfqWarning):
    """A metric has no row to be computed on, and is NaN."""


class CostFallbackWarning(SkcfqWarning):
    """A cost weight was replaced because its statistic is zero."""


class DivergenceWarning(SkcfqWarning):
    """A training ran into numbers that are not finite; the last finite state is kept."""


class EncodedTableWarning(SkcfqWarning):
    """A table was encoded before, and no action set keeps its columns together."""


class ManyLevelsWarning(SkcfqWarning):
    """Nearly every row has a category of its own in a column."""


class NumbersAsTextWarning(SkcfqWarning):
    """A column holds numbers as text, which are categories without an order."""


class RecourseGapWarning(SkcfqWarning):
    """Recourse under a quantized model is expected to be far from what its teacher advises."""


class InterruptedWarning(SkcfqWarning):
    """Work was interrupted by Ctrl-C; what was done is returned."""

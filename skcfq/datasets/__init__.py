"""Real benchmarks with their action sets, and a generator that needs no file.

Every loader returns a :class:`sklearn.utils.Bunch` with the keys

``data``
    DataFrame of raw columns: readable names and categories, gaps as NaN.
``target``
    Series of readable labels; ``favorable`` is the label that people want.
``action_set``
    :class:`skcfq.ActionSet` on the raw columns: what a real applicant can change, in which
    direction and in which steps, and what it costs; ``immutable`` lists the columns that nobody
    can change.
``groups``
    DataFrame of slices for fairness reports, aligned with ``data``.
``train_indices``, ``test_indices``
    Row positions of the split.
``feature_names``, ``units``, ``DESCR``
    Column names, the unit of each column, and source, citation and license.

The real files are downloaded from their public source on first use and checked by SHA-256. With
``data_home=`` or the environment variable ``SKCFQ_DATA`` they are read from a folder instead.

A dataset of one's own takes one file: :class:`RemoteFile` says where it lies, :func:`read_payload`
brings its checked bytes, :func:`random_split` cuts it, and :func:`make_bunch` puts it together.
"""

from skcfq.datasets._adult import fetch_adult
from skcfq.datasets._bank_marketing import fetch_bank_marketing
from skcfq.datasets._base import RemoteFile, make_bunch, random_split, read_payload
from skcfq.datasets._celeba import fetch_celeba_attributes
from skcfq.datasets._compas import fetch_compas
from skcfq.datasets._credit import make_credit
from skcfq.datasets._default_credit import fetch_default_credit
from skcfq.datasets._german_credit import fetch_german_credit

__all__ = [
    "RemoteFile",
    "fetch_adult",
    "fetch_bank_marketing",
    "fetch_celeba_attributes",
    "fetch_compas",
    "fetch_default_credit",
    "fetch_german_credit",
    "make_bunch",
    "make_credit",
    "random_split",
    "read_payload",
]

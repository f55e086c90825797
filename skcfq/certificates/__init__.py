"""Re-evaluation of certificates of advice, by one who trusts neither solver nor models' readers.

Nothing here is shared with what finds or proves advice: no solver, no action set, no tensor.
:func:`skcfq.theory.certify` writes certificates.
"""

from __future__ import annotations

from skcfq.certificates._checking import CertificateReport, check_certificate
from skcfq.certificates._document import SCHEMA, VERSION, claims_of, digest_of
from skcfq.certificates._evaluation import scores_margin
from skcfq.certificates._schema import PACKAGES

__all__ = [
    "PACKAGES",
    "SCHEMA",
    "VERSION",
    "CertificateReport",
    "check_certificate",
    "claims_of",
    "digest_of",
    "scores_margin",
]

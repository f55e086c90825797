"""What a result can say of a person."""

STATUSES = (
    "optimal",
    "feasible",
    "already_favorable",
    "infeasible",
    "not_found",
    "time_limit",
)

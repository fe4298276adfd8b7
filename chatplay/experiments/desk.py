"""What all parts of the experiment service stand on: whose an experiment is, and who may read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from chatplay.calls import Calls
from chatplay.errors import BadInput, NotFound
from chatplay.experiments.estimate import Limits
from chatplay.experiments.values import ModelRef
from chatplay.models.catalog import ModelCatalog, ModelInfo
from chatplay.store import Connection, Store
from chatplay.tokens.counting import TokenCounter
from chatplay.usage.price_table import at_price_in_force, list_in_force
from db import experiments as db
from db.experiments import ExperimentRow

_MOST_NUMBER, _MOST_ID = 2**31, 2**63  # one more than an integer and a bigint of the database hold


@dataclass(frozen=True)
class Desk:
    """The services that the parts share."""

    store: Store
    catalog: ModelCatalog
    calls: Calls
    counter: TokenCounter
    limits: Limits

    def find_model(self, conn: Connection, model: ModelRef, role: str) -> ModelInfo | None:
        """A model the role may use, at the price in force now; None when it is gone or not open to it."""
        return self.find_models(conn, [model], role)[model]

    def find_models(self, conn: Connection, models: Iterable[ModelRef], role: str) -> dict[ModelRef, ModelInfo | None]:
        """As `find_model`, of many."""
        return _at_prices_in_force(conn, {model: self._open_to(role, model) for model in models})

    def find_prices(self, conn: Connection, models: Iterable[ModelRef]) -> dict[ModelRef, ModelInfo | None]:
        """Whoever may use them: what is there, at the price in force now."""
        known = {model: self.catalog.find_info(model.name, upstream=model.upstream) for model in models}
        return _at_prices_in_force(conn, known)

    def _open_to(self, role: str, model: ModelRef) -> ModelInfo | None:
        try:
            return self.catalog.get(model.name, role=role, upstream=model.upstream)
        except (NotFound, BadInput):
            return None


def _at_prices_in_force(
    conn: Connection, models: Mapping[ModelRef, ModelInfo | None]
) -> dict[ModelRef, ModelInfo | None]:
    dated = list_in_force(conn, models={(info.upstream, info.name) for info in models.values() if info})
    return {model: info and at_price_in_force(info, dated) for model, info in models.items()}


def own(conn: Connection, user_id: int, experiment_id: UUID, *, for_update: bool = False) -> ExperimentRow:
    """The person's own experiment. Raises NotFound."""
    row = db.find_experiment(conn, experiment_id=experiment_id, for_update=for_update)
    if row is None or row.user_id != user_id:
        raise no_such_experiment()
    return row


def readable(conn: Connection, user_id: int, experiment_id: UUID, token: str | None) -> ExperimentRow:
    """The person's own, or one that a link opens. Raises NotFound."""
    row = db.find_experiment(conn, experiment_id=experiment_id)
    if row is not None and row.user_id == user_id:
        return row
    if row is None or token is None or db.find_linked(conn, token_hash=hash_token(token)) != experiment_id:
        raise no_such_experiment()
    return row


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def check_place(what: str, *numbers: int) -> None:
    """Raises NotFound for numbers of which the database could hold none: nothing can stand there."""
    if not all(0 <= number < _MOST_NUMBER for number in numbers):
        raise no_such(what)


def check_id(what: str, number: int) -> None:
    """Raises NotFound for an id that the database could hold none of."""
    if not 0 <= number < _MOST_ID:
        raise no_such(what)


def no_such_experiment() -> NotFound:
    return NotFound("There is no such experiment.", cure="It may have been deleted, or its link revoked.")


def no_such(what: str) -> NotFound:
    return NotFound(f"There is no such {what}.", cure="Reload the page to see what there is.")

"""Which ids models have for programs: the name alone for the first server that offers it, as in the catalog,
and `server/name` for any.
"""

from __future__ import annotations

from typing import Any

from chatplay.api.completions_errors import no_such_model
from chatplay.errors import BadInput, NotFound
from chatplay.models.catalog import ModelCatalog, ModelInfo


def list_models(catalog: ModelCatalog, role: str) -> list[dict[str, Any]]:
    """The running models `role` may use as OpenAI lists them; every id is there once."""
    return [_described(catalog, info, role) for info in catalog.list_running(role)]


def find_model(catalog: ModelCatalog, model_id: str, role: str) -> ModelInfo:
    """The model of an id whether it runs or not. Raises NotFound."""
    upstream, slash, name = model_id.partition("/")
    for wanted, where in ((model_id, None), (name, upstream)):
        if where is None or slash:
            try:
                return catalog.get(wanted, role=role, upstream=where)
            except (NotFound, BadInput):
                continue
    raise no_such_model(model_id)


def describe_model(catalog: ModelCatalog, model_id: str, role: str) -> dict[str, Any]:
    """One model as OpenAI describes it. Raises NotFound."""
    return _described(catalog, find_model(catalog, model_id, role), role)


def _described(catalog: ModelCatalog, info: ModelInfo, role: str) -> dict[str, Any]:
    window = {} if info.context_tokens is None else {"max_model_len": info.context_tokens}
    # The protocol wants a time; no server says when a model was made.
    described = {"id": catalog.id_of(info, role), "object": "model", "created": 0, "owned_by": info.upstream}
    return described | window

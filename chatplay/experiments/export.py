"""All trials as CSV, JSONL or Parquet: in pieces as they are read, and safe to open in a spreadsheet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from chatplay import params as parameters
from chatplay.experiments.blocks import seed_for
from chatplay.experiments.scoring import describe_rule
from chatplay.experiments.values import Arm, ExportFormat, Plan
from chatplay.sheets import BOM, Sink, csv_lines
from db.trial_reads import ExportRow

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["int", "float", "text", "bool", "time"]


@dataclass(frozen=True)
class Column:
    """One column of the export: where its value is found in a row."""

    name: str
    kind: Kind
    value: Callable[[ExportRow], Any]


@dataclass(frozen=True)
class Layout:
    """What the columns depend on."""

    plan: Plan
    arms: Sequence[Arm]
    case_columns: Sequence[str]
    judges: Sequence[int]


def list_columns(layout: Layout) -> list[Column]:
    """All columns in order: place, settings, case, answer, scores, figures."""
    return [
        *_place_columns(layout),
        *_setting_columns(layout),
        *_case_columns(layout),
        Column("answer", "text", lambda row: row.content),
        *_score_columns(layout),
        *_figure_columns(),
    ]


def _place_columns(layout: Layout) -> list[Column]:
    arms = layout.arms
    return [
        Column("trial", "int", lambda row: row.id),
        Column("arm", "int", lambda row: row.arm),
        Column("arm_label", "text", lambda row: arms[row.arm].label),
        Column("case", "int", lambda row: row.case_no),
        Column("repeat", "int", lambda row: row.repeat),
        Column("order", "int", lambda row: row.position),
        Column("state", "text", lambda row: row.state),
        Column("attempts", "int", lambda row: row.attempt),
    ]


def _setting_columns(layout: Layout) -> list[Column]:
    arms = layout.arms
    found = [
        Column("model", "text", lambda row: arms[row.arm].model.name),
        Column("upstream", "text", lambda row: arms[row.arm].model.upstream),
        Column("prompt", "text", lambda row: arms[row.arm].prompt.label),
    ]
    kinds: dict[str, Kind] = {"float": "float", "int": "int", "list": "text", "text": "text"}
    for spec in parameters.SPECS:
        value = _seed(layout) if spec.name == "seed" else _setting(arms, spec.name)
        found.append(Column(spec.name, kinds[spec.kind], value))
    return found


def _seed(layout: Layout) -> Callable[[ExportRow], Any]:
    """The one that was sent: with varied seeds each trial has its own."""
    plan, arms = layout.plan, layout.arms
    return lambda row: seed_for(plan.seed_policy, arms[row.arm].params.seed, plan.seed, row.case_no, row.repeat)


def _setting(arms: Sequence[Arm], name: str) -> Callable[[ExportRow], Any]:
    def value(row: ExportRow) -> Any:
        setting = getattr(arms[row.arm].params, name)
        return json.dumps(setting, ensure_ascii=False) if isinstance(setting, tuple) else setting

    return value


def _case_columns(layout: Layout) -> list[Column]:
    return [Column(f"case.{name}", "text", _case_cell(place)) for place, name in enumerate(layout.case_columns)]


def _case_cell(place: int) -> Callable[[ExportRow], Any]:
    return lambda row: row.cells[place] if place < len(row.cells) else None


def _score_columns(layout: Layout) -> list[Column]:
    found = [Column("score", "float", lambda row: row.score), Column("passed", "bool", lambda row: row.passed)]
    for place, rule in enumerate(layout.plan.rules):
        found.append(Column(f"rule {place + 1}: {describe_rule(rule)}", "float", _rule_score(place)))
    found.append(Column("hand_score", "float", lambda row: row.hand_score))
    found.append(Column("hand_notes", "text", lambda row: row.hand_notes))
    found += [Column(f"judge_{number}_score", "float", _judge_score(str(number))) for number in layout.judges]
    return found


def _rule_score(place: int) -> Callable[[ExportRow], Any]:
    def value(row: ExportRow) -> Any:
        scores = row.rule_scores or ()
        return scores[place]["score"] if place < len(scores) else None

    return value


def _judge_score(number: str) -> Callable[[ExportRow], Any]:
    return lambda row: (row.judge_scores or {}).get(number)


def _figure_columns() -> list[Column]:
    return [
        Column("ttft_ms", "float", lambda row: row.ttft_ms),
        Column("tokens_per_second", "float", lambda row: row.tokens_per_second),
        Column("duration_ms", "float", lambda row: row.duration_ms),
        Column("prompt_tokens", "int", lambda row: row.prompt_tokens),
        Column("completion_tokens", "int", lambda row: row.completion_tokens),
        Column("reasoning_tokens", "int", lambda row: row.reasoning_tokens),
        Column("cost_usd", "float", lambda row: row.cost_usd),
        Column("finish_reason", "text", lambda row: row.finish_reason),
        Column("error", "text", lambda row: row.error),
        Column("started_at", "time", lambda row: row.started_at),
        Column("ended_at", "time", lambda row: row.ended_at),
    ]


# ---- the formats -------------------------------------------------------------------------------


def write(fmt: ExportFormat, columns: Sequence[Column], pages: Iterable[Sequence[ExportRow]]) -> Iterator[bytes]:
    """The file piece by piece, a piece a page."""
    writers = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
    return writers[fmt](columns, pages)


def _csv(columns: Sequence[Column], pages: Iterable[Sequence[ExportRow]]) -> Iterator[bytes]:
    yield (BOM + csv_lines([[column.name for column in columns]])).encode()
    for page in pages:
        yield csv_lines([[column.value(row) for column in columns] for row in page]).encode()


def _jsonl(columns: Sequence[Column], pages: Iterable[Sequence[ExportRow]]) -> Iterator[bytes]:
    for page in pages:
        lines = (
            json.dumps({column.name: _json_value(column.value(row)) for column in columns}, ensure_ascii=False)
            for row in page
        )
        yield "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _json_value(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _parquet(columns: Sequence[Column], pages: Iterable[Sequence[ExportRow]]) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "int": pa.int64(),
        "float": pa.float64(),
        "text": pa.string(),
        "bool": pa.bool_(),
        "time": pa.timestamp("us", "UTC"),
    }
    schema = pa.schema([pa.field(column.name, kinds[column.kind]) for column in columns])
    sink = Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema) as writer:
        for page in pages:
            writer.write_table(_arrow(columns, page, schema))
            yield sink.take()
    yield sink.take()


def _arrow(columns: Sequence[Column], page: Sequence[ExportRow], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    arrays = [
        pa.array([column.value(row) for row in page], type=field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)

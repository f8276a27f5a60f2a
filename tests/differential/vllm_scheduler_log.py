"""Replays decision logs of vLLM's scheduler through `vllm` over `vllm`, step for step.

    python tests/differential/vllm_scheduler_log.py FILE...

Every record of a log must come out of the project's own batch, scheduler and manager: who is
admitted, resumed, preempted and finished, how many tokens each sequence gets, what the prefix cache
finds, and how many blocks are free. Exits 0 when all files are identical, 1 when one differs
(with its first differing step), 2 when one cannot be read.
"""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allocator.backing import HostBacking
from allocator.managers.vllm import Caching, VllmManager, VllmOptions
from allocator.spec import CacheGroup, CacheKind, CacheSpec
from sim.batch import Batch
from sim.event_log import EventKind, EventLog, LogHeader, PoolHeader
from sim.schedulers.vllm import Policy, Switch, VllmScheduler, VllmSchedulerOptions
from traces.record import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from allocator.interface import CacheManager
    from sim.request import Sequence as Life
    from sim.step import StepPlan

FORMAT = "vllm-scheduler-log/1"
TOKEN_BYTES = 128
"""Any number does: only counts of blocks are compared."""

Record = dict[str, Any]


class UnreadableLogError(Exception):
    """A file that is no such log: one sentence that says why."""


@dataclass(frozen=True)
class DecisionLog:
    """A log: what was configured, what arrived, one record a step, and how it ended."""

    config: Record
    requests: list[Request]
    steps: list[Record]
    end: Record

    @classmethod
    def read(cls, path: Path) -> DecisionLog:
        """Read a gzip file of JSON lines; raises `UnreadableLogError`."""
        try:
            with gzip.open(path, "rt", encoding="utf-8") as file:
                header, *rest = [json.loads(line) for line in file]
            if header["format"] != FORMAT:
                raise UnreadableLogError(f"{path}: its format is {header['format']}, not {FORMAT}")
            requests = [_request(line) for line in rest[: header["num_requests"]]]
            steps, end = rest[len(requests) : -1], rest[-1]
            if not requests or "end" not in end or not all("s" in step for step in steps):
                raise UnreadableLogError(f"{path}: the log is cut short")
            return cls(header["config"], requests, steps, end)
        except OSError as error:
            raise UnreadableLogError(f"{path} cannot be read: {error}") from None
        except (EOFError, ValueError, TypeError, KeyError, IndexError) as error:
            raise UnreadableLogError(f"{path} is no decision log: {error!r}") from None


def _request(line: Record) -> Request:
    text = tuple((segment, tokens) for segment, tokens in line["prompt"])
    return Request(
        request_id=line["id"],
        arrival_ns=line["arrival"],  # the clock of these logs counts steps
        prompt_tokens=sum(tokens for _, tokens in text),
        output_tokens=line["output"],
        text=text,
        priority=line.get("priority", 0),
    )


def manager_of(config: Record) -> CacheManager:
    """Blocks of the size and number that the log states; one layer makes a table."""
    block = config["block_size"]
    num_states = sum(group["kind"] == "mamba" for group in config["groups"])
    groups = [CacheGroup("kv", CacheKind.ATTENTION, 1, TOKEN_BYTES)]
    if num_states:
        groups.append(CacheGroup("ssm", CacheKind.STATE, num_states, block * TOKEN_BYTES))
    block_bytes = block * TOKEN_BYTES
    backing = HostBacking(config["num_blocks"] * block_bytes, block_bytes)
    caching = Caching.ON if config["prefix_caching"] else Caching.OFF
    spec = CacheSpec(tuple(groups), page_tokens=block)
    return VllmManager.build(spec, backing, VllmOptions(caching=caching))


def scheduler_of(config: Record) -> VllmScheduler:
    """The scheduler with the log's options."""
    return VllmScheduler(
        VllmSchedulerOptions(
            max_num_seqs=config["max_num_seqs"],
            max_num_batched_tokens=config["max_num_batched_tokens"],
            long_prefill_token_threshold=config["long_prefill_token_threshold"],
            chunked_prefill=Switch.ON if config["enable_chunked_prefill"] else Switch.OFF,
            watermark=config["watermark"],
            policy=Policy(config["policy"]),
            reserve_full_prompt=Switch.ON if config["reserve_full_prompt"] else Switch.OFF,
            max_model_len=config["max_model_len"],
        )
    )


class PatientBatch(Batch):
    """Queues what can never fit: the engine refuses it at start-up, its scheduler does not look."""

    def could_fit(self, sequence: Life) -> bool:
        """All are let in."""
        del sequence
        return True


class StepRows(EventLog):
    """An event log that also hands out the rows of each step."""

    def __init__(self, header: LogHeader) -> None:
        super().__init__(header)
        self._rows: list[tuple[EventKind, int, tuple[int, ...]]] = []

    def append(self, time_ns: int, kind: EventKind, subject: int, *values: int) -> None:
        """Add a row; see `EventLog.append`."""
        super().append(time_ns, kind, subject, *values)
        self._rows.append((kind, subject, values))

    def subjects(self, kind: EventKind) -> list[int]:
        """Whom the rows of a kind are about."""
        return [subject for known, subject, _ in self._rows if known is kind]

    def first_values(self, kind: EventKind) -> list[list[int]]:
        """[subject, first value] of the rows of a kind."""
        return [[subject, values[0]] for known, subject, values in self._rows if known is kind]

    def resumed(self) -> list[int]:
        """Who was admitted again."""
        rows = [(s, v) for kind, s, v in self._rows if kind is EventKind.ADMISSION]
        return [subject for subject, values in rows if values[1]]

    def forget(self) -> None:
        """Begin another step."""
        self._rows = []


class Replay:
    """The batch of a log on a clock that counts steps."""

    def __init__(self, log: DecisionLog) -> None:
        self._manager = manager_of(log.config)
        self._scheduler = scheduler_of(log.config)
        objection = self._scheduler.objection(self._manager)
        if objection:
            raise UnreadableLogError(f"no engine has such a configuration: {objection}")
        (pool,) = self._manager.usage().pools
        header = LogHeader(len(log.requests), 1, 1, (PoolHeader(pool.name, pool.page_bytes),))
        self._rows = StepRows(header)
        queue, max_tokens = self._scheduler.new_queue(), self._scheduler.max_tokens
        self._batch = PatientBatch(self._manager, self._rows, queue, max_tokens)
        self._to_come = list(reversed(log.requests))
        self.end: Record = {}

    def steps(self) -> Iterator[Record]:
        """A record a step, until all is done or nothing can change any more; then `end` is set."""
        now = num_steps = tokens = preemptions = 0
        end = "drained"
        while self._to_come or self._batch.running or self._batch.waiting:
            if not self._batch.running and not self._batch.waiting:
                now = max(now, self._to_come[-1].arrival_ns)
            record = self._step(now)
            yield record
            num_steps, tokens = num_steps + 1, tokens + record["t"]
            preemptions += len(record.get("p", ()))
            now += 1
            if not record["t"] and "p" not in record:
                if not self._to_come:
                    end = "stalled"
                    break
                now = max(now, self._to_come[-1].arrival_ns)
        left = [s.request_id for s in (*self._batch.running, *self._batch.waiting)]
        totals = {"steps": num_steps, "tokens": tokens, "preemptions": preemptions}
        self.end = {"end": end, **totals, "unfinished": left, "free": self._num_free()}
        self._manager.check_integrity()

    def _step(self, now: int) -> Record:
        batch, rows = self._batch, self._rows
        batch.now_ns = now
        while self._to_come and self._to_come[-1].arrival_ns <= now:
            batch.arrive(self._to_come.pop())
        rows.forget()
        batch.begin_step()
        plan = self._scheduler.plan(batch)
        counts = _counts(plan)
        order = [sequence.request_id for sequence in batch.running]
        free = self._num_free()
        batch.finish_step(plan)
        record = {
            "s": now,
            "t": sum(counts.values()),
            "c": [[i, counts[i]] for i in order if counts.get(i, 1) != 1],
            "x": [i for i in order if i not in counts],
            "a": rows.subjects(EventKind.ADMISSION),
            "r": rows.resumed(),
            "h": rows.first_values(EventKind.PREFIX_HIT),
            "p": rows.subjects(EventKind.PREEMPTION),
            "f": rows.subjects(EventKind.COMPLETION),
            "k": [free, self._num_free()],
            "q": [len(batch.running), len(batch.waiting)],
        }
        return {key: value for key, value in record.items() if value != []}

    def _num_free(self) -> int:
        (pool,) = self._manager.usage().pools
        return pool.num_pages - pool.num_live


def _counts(plan: StepPlan) -> dict[int, int]:
    """Tokens of each request in a step."""
    counts = {sequence.request_id: 1 for sequence in plan.decodes}
    return counts | {chunk.sequence.request_id: chunk.tokens for chunk in plan.chunks}


def difference(log: DecisionLog) -> str:
    """The first step that comes out differently, and in what; empty if none does."""
    replay = Replay(log)
    for theirs, ours in zip_longest(log.steps, replay.steps()):
        if theirs is None or ours is None:
            who = "the engine has no more" if theirs is None else "the replay has no more"
            return f"step {(theirs or ours)['s']}: {who}"
        if theirs != ours:
            return f"step {theirs['s']}: " + _describe(theirs, ours)
    return "" if replay.end == log.end else "the end: " + _describe(log.end, replay.end)


def _describe(theirs: Record, ours: Record) -> str:
    keys = [key for key in {**theirs, **ours} if theirs.get(key) != ours.get(key)]
    return "; ".join(f"{key} is {theirs.get(key)}, replayed {ours.get(key)}" for key in keys)


def main(arguments: Sequence[str]) -> int:
    """Compare every log; see the module."""
    if not arguments:
        sys.stderr.write("give at least one decision log: FILE...\n")
        return 2
    status = 0
    for path in map(Path, arguments):
        try:
            log = DecisionLog.read(path)
            found = difference(log)
        except UnreadableLogError as error:
            sys.stderr.write(f"{error}\n")
            return 2
        sys.stdout.write(f"{path.name}: {found or f'identical, {len(log.steps)} steps'}\n")
        sys.stdout.flush()
        status = max(status, int(bool(found)))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

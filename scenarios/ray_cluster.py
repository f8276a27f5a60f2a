"""Workers of a Ray cluster, one that runs already or one of this machine."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenarios.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from scenarios.retries import Task

DEATHS = (
    *("WorkerCrashedError", "NodeDiedError", "LocalRayletDiedError", "OutOfMemoryError"),
    *("ObjectLostError", "OwnerDiedError"),
)
"""What Ray raises where the process or the machine of a task ended, or took its result with it."""


@dataclass(frozen=True, slots=True)
class RayCluster:
    """A `scenarios.cluster.Cluster`.

    Attributes:
        ray: The module.
        remote: Runs a task there.
        deaths: See there.
    """

    ray: Any
    remote: Any
    deaths: tuple[type[BaseException], ...]

    def submit(self, task: Task[Any]) -> Future[Any]:
        """See `scenarios.cluster.Cluster`."""
        future: Future[Any] = self.remote.remote(task).future()
        return future

    def num_slots(self) -> int:
        """See `scenarios.cluster.Cluster`."""
        return int(self.ray.cluster_resources().get("CPU", 0))


@contextmanager
def ray_cluster(ray: Any, jobs: int, address: str | None) -> Iterator[RayCluster]:  # noqa: ANN401 - a module without types
    """The cluster at an address, or one of so many processes that ends with the block.

    Raises:
        UserError: Nobody answers at the address.
    """
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {"num_cpus": jobs, "include_dashboard": False}
    try:
        ray.init(address=address, **options)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"no cluster answers at --address: {error}") from None
    try:
        # Who tries again, and how often, is the same on every backend: not Ray's to decide.
        remote = ray.remote(num_cpus=1, max_retries=0)(_run)
        deaths = tuple(
            getattr(ray.exceptions, name) for name in DEATHS if hasattr(ray.exceptions, name)
        )
        yield RayCluster(ray, remote, deaths)
    finally:
        ray.shutdown()


def _run(task: Task[Any]) -> Any:  # noqa: ANN401 - whatever a task finds
    return task.run()

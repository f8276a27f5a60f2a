"""What every registered router keeps, whatever its policy; a new one is tested by being there."""

from dataclasses import dataclass

import numpy as np
import pytest

from sim.router import Router, known_routers
from traces.record import Request


@dataclass
class Seen:
    """A replica as a router sees it."""

    num_running: int = 0
    num_waiting: int = 0
    num_tokens: int = 0
    granted_bytes: int = 0

    def take(self, request: Request) -> None:
        """It holds one more request."""
        self.num_running += 1
        self.num_tokens += request.prompt_tokens
        self.granted_bytes += 64 * request.prompt_tokens


def requests() -> list[Request]:
    """Prompts that start in one of a few ways, and some that nothing is known of."""
    lengths = np.random.default_rng(5).integers(1, 900, 200).tolist()
    return [
        Request(i, 0, length, 9, text=((i % 7, length // 2),) if i % 3 else ())
        for i, length in enumerate(lengths)
    ]


def routes(router: Router, count: int) -> list[int]:
    replicas = [Seen() for _ in range(count)]
    numbers = []
    for request in requests():
        number = router.route(request, replicas)
        replicas[number].take(request)
        numbers.append(number)
    return numbers


@pytest.fixture(params=list(known_routers().values()), ids=list(known_routers()))
def kind(request: pytest.FixtureRequest) -> type[Router]:
    found: type[Router] = request.param
    return found


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_request_goes_to_a_replica_that_is_there(kind: type[Router], count: int) -> None:
    assert set(routes(kind(kind.Options()), count)) == set(range(count))


def test_equal_routers_route_alike(kind: type[Router]) -> None:
    assert routes(kind(kind.Options()), 3) == routes(kind(kind.Options()), 3)


def test_no_replica_is_left_far_behind(kind: type[Router]) -> None:
    """Nothing ends here, so whoever looks at load or at what was sent must spread it."""
    counts = np.bincount(routes(kind(kind.Options()), 4), minlength=4)
    assert counts.min() * 4 > 200 / 4

"""What happens when: requests, schedulers, steps, the event log and its metrics."""

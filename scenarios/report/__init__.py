"""The report of a replay: one HTML file that compares allocators and needs no network."""

from scenarios.report.page import write_report

__all__ = ["write_report"]

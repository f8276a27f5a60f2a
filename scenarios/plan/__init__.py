"""What-if planning: the highest load within an SLO, what limits it, and what that costs."""

"""The backings and executors of the simulator on a device: the only place that imports torch."""

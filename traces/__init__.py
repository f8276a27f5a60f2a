"""Files and synthetic presets become requests."""

"""Pages shared by sequences whose texts start alike."""

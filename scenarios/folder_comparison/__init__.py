"""Two result folders of one command beside each other."""

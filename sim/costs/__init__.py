"""What a step costs, one model of cost a file."""

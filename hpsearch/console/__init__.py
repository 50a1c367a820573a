"""What the terminal shows while a search or a training runs."""

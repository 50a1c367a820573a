"""Learning curves that pruners are tried on: recorded ones and simulated ones, with their recording."""

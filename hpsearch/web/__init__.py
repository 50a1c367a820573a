"""The page that lives: a server on loopback that shows experiments in a browser while they run, and afterwards."""

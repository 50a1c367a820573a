"""The shelf of data: one file for each kind, simulators included. Free of torch."""

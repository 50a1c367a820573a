"""Who trains: the coordinator, its ledger, and workers on this machine or on a Ray cluster."""

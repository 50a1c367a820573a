"""The engine `ray`: the same coordinator, samplers and pruners; trials run on Ray Tune, on one machine or on many.

workers      the engine's end: jobs go in, messages come out (the contract in `jobs.py`)
cluster      joins a cluster, or starts one on this machine; what a trial occupies, and how many its nodes have room for
tuning       Ray Tune's end, in a thread: one searcher, one scheduler
actors       what runs in Ray's actors: one job after another, and the other processes of a trial that has several
node_data    data that the actors of a node load once
storage      files of workers that do not share the experiment's folder
"""

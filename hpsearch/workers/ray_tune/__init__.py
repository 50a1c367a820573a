"""The engine `ray`: the same coordinator, samplers and pruners; trials run on Ray Tune, on one machine or on many.

connection   joins a cluster, or starts one on this machine that listens on loopback only
demand       what a trial occupies, and how many trials the nodes have room for
workers      the engine's end: jobs go in, messages come out (the contract in `jobs.py`)
tuning       Ray Tune's end, in a thread: one searcher, one scheduler
trainable    runs in Ray's actors, one job after another
companions   the other processes of a trial that has several
node_data    data that the actors of a node load once
storage      files of workers that do not share the experiment's folder
pb2          the Gaussian-process step of PB2
"""

"""EEG source imaging by a network trained on simulated brains (DeepSIF; Sun et al., PNAS 119(31) e2201128119, 2022)."""

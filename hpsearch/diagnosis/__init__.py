"""What `hpsearch doctor` looks at: the machine, and whether an experiment's folder is whole."""

"""A plain function of the user's as what is searched: `family: ./train.py:train`, or `hpsearch.run(train, ...)`."""

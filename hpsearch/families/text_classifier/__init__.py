"""Classifiers of texts: Kim's convolutional network, a BERT-style transformer, pretrained encoders."""

"""MLflow: the mirror of experiments and studies, registered models, the web page."""

"""An experiment from its space to its confirmed winner."""

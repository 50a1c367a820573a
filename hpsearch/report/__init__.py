"""What people and programs read of an experiment: tables, figures, JSON, files. Does no statistics."""

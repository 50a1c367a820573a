"""Drafts of space files: from the options of a program, the settings of a family or the signature of a function."""

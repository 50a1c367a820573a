"""Any program in any language as a family: its arguments are searched, its printed metrics are read."""

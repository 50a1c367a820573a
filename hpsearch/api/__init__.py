"""What `import hpsearch` offers."""

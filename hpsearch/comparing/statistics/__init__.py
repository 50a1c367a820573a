"""Pure functions of arrays, a file for each idea. They know no runs, no goal and no report."""

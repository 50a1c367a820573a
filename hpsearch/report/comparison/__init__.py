"""The report of a comparison: one page, and the same for a pull request, a paper, a spreadsheet and a program.

rows        the two tables, as text; terminal, markdown, latex and csv lay them out
pictures    prepare_x: the numbers of each picture, from the comparison and its runs
drawings    draw_x: the same for a paper, by matplotlib
plots       the same for the page, as plotly reads it
page        one self-contained HTML file
files       which format is written where
"""

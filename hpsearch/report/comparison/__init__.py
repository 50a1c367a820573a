"""The report of a comparison: one page, and the same for a pull request, a paper, a spreadsheet and a program.

contents    what a report is made of
rows        the two tables, as text; terminal, markdown, latex and csv lay them out
overview    a row for each experiment, of whatever kind
grouped     several comparisons in one report
html        one self-contained page; its pictures are those of `report/charts/`
files       which format is written where
"""

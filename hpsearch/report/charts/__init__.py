"""Pictures: of comparisons, experiments and trainings.

style       how all of them look, and how they are written
numbers     prepare_x: the numbers of each picture of a comparison
paper       draw_x: the same for a paper, by matplotlib
page        plot_x: the same for the page, as plotly.js reads it
gallery     which pictures a report has
experiment  an experiment's trials, parameters and replicates
training    one training: curves, range test, heat maps
"""

"""The search of study imagenette-depth, and the one it should have made: with the rate in what is searched for.

space.py      what may be chosen: the study's layers, activations and learning rates, and a bottleneck
objective.py  trains one candidate and scores it, reporting every epoch so that hopeless ones end early
storage.py    where trials are kept: SQLite or any database, shared by several processes, interrupted trials retried
search.py     the loop over trials, which goes on where an earlier one stopped
results.py    trials.csv, best.json, figures
command.py    `narrows lab tune`
"""

"""The Bayesian models: arrays and masked arm labels in, posterior and verdict out.

Nothing here knows a drug, a patient or a database. Importing this package, and every module
of it but ``models.pain`` and ``models.confirm``, loads neither PyMC nor its friends.
"""

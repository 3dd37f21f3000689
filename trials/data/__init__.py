"""Clinical facts as data, read by `trials.services.catalogue`."""

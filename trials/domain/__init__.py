"""Rules about trials: frozen values and pure functions, standard library only."""
